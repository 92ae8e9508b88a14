// Who calls. Established by the transport's credential alone; what a client says about itself is recorded as claimed and decides
// nothing.

import type { Digest } from './digest.ts';

export type Authentication = 'local' | 'process' | 'api_key' | 'jwt' | 'proof_key' | 'mtls';

export interface Principal {
  readonly agent: string;
  readonly roles: readonly string[];
  /** Whether this agent may start a chain of calls. */
  readonly root: boolean;
  readonly authentication: Authentication;
  /** Identifies the connection or credential in permits and entries without revealing it. */
  readonly connection: Digest;
  /** Thumbprint (RFC 7638) of the key whose possession the client proves with every request; absent where it proves none. */
  readonly proofKey?: string;
  /** The process that the connection belongs to, where it is one that the gate started and nobody else can be at its end. */
  readonly process?: string;
}
