// What the edge that faces clients needs from whoever knows credentials.

import type { Denial } from '../../domain/denial.ts';
import type { Principal } from '../../domain/principal.ts';

/** Tells whose credential a request carries. Implemented in adapters/identity. */
export interface Authenticator {
  /**
   * The principal that the value of the `Authorization` header proves, or why it proves none. It is asked before the body is read, for
   * every request again. A rejection counts as a refusal.
   */
  authenticate(request: { readonly authorization: string | undefined }): Promise<Principal | Denial>;
}
