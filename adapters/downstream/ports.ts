// What the edge that faces clients needs from whoever knows credentials.

import type { Denial } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Principal } from '../../domain/principal.ts';

/** What a request says about who sends it, and what a proof of that has to be about. */
export interface CredentialRequest {
  /** The value of the `Authorization` header. */
  readonly authorization: string | undefined;
  /** The value of the `DPoP` header. */
  readonly proof?: string | undefined;
  /** The pin of the key that the client proved when it opened the connection, by a certificate over TLS. */
  readonly certificate?: Digest | undefined;
  /** The token in the header that says which call it belongs to. A proof may be about it. */
  readonly lineage?: string | undefined;
  readonly method: string;
  /** Where the client reached us: scheme, host and path. The configuration says so, or a `Host` that was found to be ours; never a stranger's. */
  readonly url: string;
}

/** Why a credential proves nobody, and what the client is told about how to do better. */
export interface CredentialRefusal extends Denial {
  readonly challenge?: {
    /** 403 says who it is and that it is not enough. */
    readonly status: 401 | 403;
    readonly headers: Readonly<Record<string, string>>;
  };
}

/** Whom a credential proves. */
export interface Proven extends Principal {
  /** Unix milliseconds: from then on it proves nobody. Absent for a credential that does not end by itself. */
  readonly until?: number;
}

/** How the gate is, for operators. */
export interface Health extends JsonObject {
  readonly open: boolean;
}

/** Those who may take authority away while the gate runs. Implemented in cli/operators.ts. */
export interface Operators {
  /** Whose key this is, by the value of the `Authorization` header; undefined when it is no operator's. */
  identify(authorization: string | undefined): string | undefined;
  /** What was ordered and still counts, oldest first. */
  orders(): Promise<JsonObject[]>;
  /** `done`: every gate that runs has done it. `problem` says why it is no order; nothing was ordered then. */
  order(
    order: JsonObject,
    by: string,
  ): Promise<{ readonly done: boolean; readonly answer: JsonObject } | { readonly problem: string }>;
  /** Never rejects. */
  health(): Promise<Health>;
}

/** Tells whose credential a request carries. Implemented in adapters/identity. */
export interface Authenticator {
  /**
   * The principal that the credential proves, or why it proves none. It is asked before the body is read, for every request again. A
   * rejection counts as a refusal.
   */
  authenticate(request: CredentialRequest): Promise<Proven | CredentialRefusal>;
  /** What an answer to a request with a proof says besides. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /** What clients may know about the resource at this URL (RFC 9728); undefined where no authorization server issues tokens for us. */
  readonly metadata?: (url: string) => JsonObject | undefined;
}
