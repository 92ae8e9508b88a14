// What the enforcement point needs from outside. Adapters implement these; nothing here decides.

import type { Authorization, AuthorizationRequest } from '../control-plane/authorization.ts';
import type { Manifest } from '../control-plane/policy/manifest.ts';
import type { PolicySource, Problem } from '../control-plane/policy/source.ts';
import type { Denial } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import type { EntryBody } from '../domain/entry.ts';
import type { Principal } from '../domain/principal.ts';

export interface Clock {
  /** Milliseconds since 1970. May jump. */
  now(): number;
  /** Milliseconds since some start. Never goes back. */
  monotonic(): number;
  /** Calls `then` once, not before `ms` have passed; the returned function calls it off. */
  timer(ms: number, then: () => void): () => void;
}

/** What is known of the servers themselves: how each is reached, what it offers, and what it runs. */
export interface Attestations {
  /** The attestation of a server as it is in this tick, or why it is not the one that was approved. */
  of(server: string): Digest | Denial;
  /** The same for a call that runs already: while it is just being looked at again, what it was before. */
  whileRunning(server: string): Digest | Denial;
  /** Resolves when what is just being looked at has been, or soon. Never rejects. */
  settled(server: string): Promise<void>;
}

/** The functions of cryptography that the gate uses, on the platform's own implementation. */
export interface GateCrypto {
  sha256(data: Uint8Array): Uint8Array;
  randomBytes(length: number): Uint8Array;
  /** Whether `signature` over `data` was made by the key named `kid`. An unknown key is false. */
  verifyPermit(kid: string, data: Uint8Array, signature: Uint8Array): boolean | Promise<boolean>;
}

/** The deciding side: policy and the signing of permits. */
export interface Authority {
  /** Never rejects: faults and timeouts are denials. */
  authorize(request: AuthorizationRequest): Promise<Authorization>;
  /**
   * Installs a policy; on refusal the one before stays. `manifest` is what the source's manifest says, where that was parsed already; the
   * digest of what is installed commits to it. `ready` is awaited when the new policy could decide and before it does; where it rejects, so
   * does this, and the one before stays.
   */
  install(source: PolicySource, manifest?: Manifest, ready?: (digest: Digest) => Promise<void>): Promise<InstallResult>;
  /** The tools, as `server/tool`, that some rule could ever allow this principal. Used to hide, never to allow. */
  visible(principal: Principal): Promise<ReadonlySet<string>>;
  /** Whether structured content fits the output schema of the installed definition. Never rejects: a fault is a denial. */
  checkOutput(server: string, tool: string, structuredJson: string): Promise<Denial | undefined>;
  close(): Promise<void>;
}

export type InstallResult =
  | { readonly ok: true; readonly digest: Digest }
  /** `fault`: nobody could look at it, so nothing is said about the source. */
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly fault?: true };

/** Bytes for the vault: what `commitment` commits to, with the salt it was made with. */
export interface Payload {
  readonly commitment: Digest;
  readonly salt: Uint8Array;
  readonly bytes: Uint8Array;
}

export interface Receipt {
  readonly seq: number;
  readonly ts: string;
  readonly leafHash: Digest;
}

/** The durable record. */
export interface Recorder {
  /**
   * Resolves once the entry and its payloads are on disk under a signed head. If it rejects, they may be there all the same: stop, do not
   * retry.
   */
  append(body: EntryBody, payloads: readonly Payload[]): Promise<Receipt>;
}
