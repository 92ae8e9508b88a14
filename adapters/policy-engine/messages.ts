// What passes between the gate's thread and the deciding thread.

import type { Authorization, AuthorizationRequest } from '../../control-plane/authorization.ts';
import type { Manifest } from '../../control-plane/policy/manifest.ts';
import type { PolicySource, Problem } from '../../control-plane/policy/source.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Principal } from '../../domain/principal.ts';

/** The first message to a deciding thread, once it is warm. It serves one bundle for all its life. */
export interface AuthoritySetup {
  readonly source: PolicySource;
  /** What the source's manifest says, where the gate has parsed it already. The bundle's digest commits to it, as to everything in force. */
  readonly manifest?: Manifest | undefined;
  /** PEM file of the private key that signs permits. Only the deciding thread reads it. */
  readonly keyFile: string;
  /** Names of this installation and of this gate, as permits carry them. */
  readonly instance: string;
  readonly gateway: string;
}

export type Ask =
  /** `checked`: whether the arguments fit the schema of the tool is found out elsewhere, and heeded by whoever asks. */
  | {
      readonly id: number;
      readonly kind: 'authorize';
      readonly request: AuthorizationRequest;
      readonly checked: boolean;
    }
  | { readonly id: number; readonly kind: 'visible'; readonly principal: Principal };

export type Answer =
  | { readonly id: number; readonly kind: 'authorize'; readonly authorization: Authorization }
  | { readonly id: number; readonly kind: 'visible'; readonly tools: readonly string[] };

export type FromAuthority =
  /** Everything is loaded, nothing is known yet. `task` names the thread to the system. */
  | { readonly type: 'warm'; readonly task: string | undefined }
  /** Canaries passed; asks are answered from now on, in order. */
  | { readonly type: 'ready'; readonly digest: Digest }
  | { readonly type: 'refused'; readonly problems: readonly Problem[] }
  | { readonly type: 'answers'; readonly answers: readonly Answer[] };
