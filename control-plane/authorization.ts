// The question put to the deciding side and its answer. Both are plain data: they cross a thread today and may cross a process later.

import type { DenialCode } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import type { CallId } from '../domain/ids.ts';
import type { Lineage } from '../domain/lineage.ts';
import type { Principal } from '../domain/principal.ts';

/** The live state of governance that an authorization is issued under. */
export interface GovernanceSnapshot {
  readonly state: 'normal' | 'degraded';
  /** Grows with every change of the policy bundle. */
  readonly epoch: number;
  /** Number of the newest revocation known. */
  readonly revocation: number;
  /** This start of the gate. Permits of another start are void. */
  readonly boot: string;
}

/** What a permit may grant at most. Obligations of the policy can only lower it. */
export interface CallLimits {
  readonly timeoutMs: number;
  readonly outputBytes: number;
}

/** What is known of earlier calls when one is decided, where the manifest asks for it. Whole numbers; groups are sorted. */
export interface HistoryFacts {
  /** The agent has never been let through to this action before. */
  readonly firstUse: boolean;
  /** Nor with arguments of this shape: these members, with values of these kinds. */
  readonly newShape: boolean;
  /** The agent's calls of this action in the last minute, this one included. */
  readonly rate: number;
  /** That in percent of the agent's busiest minute before. */
  readonly burst: number;
  /** Groups of which the agent, or one above it in the chain, used something lately. */
  readonly agentUsed: readonly string[];
  /** Groups of which anybody used something lately in this chain. */
  readonly chainUsed: readonly string[];
}

export interface AuthorizationRequest {
  readonly call: CallId;
  readonly at: number;
  readonly principal: Principal;
  /** What is asked of the server, or by it: one of the governed methods. */
  readonly method: string;
  readonly server: string;
  /** The name of the tool for `tools/call`, the method itself for every other method. */
  readonly tool: string;
  /** Canonical JSON of the arguments: the very bytes that will be sent. */
  readonly argumentsJson: string;
  /** Commitment to `argumentsJson`. */
  readonly args: Digest;
  /** Commitment to the canonical JSON of the whole request. */
  readonly req: Digest;
  /** Digest of the pinned definition of the tool. */
  readonly definition: Digest;
  /** Digest of what the server is: its command or address and the definitions of its tools. */
  readonly attestation: Digest;
  readonly lineage: Lineage;
  readonly governance: GovernanceSnapshot;
  readonly limits: CallLimits;
  /** Present where the manifest asks for it. */
  readonly history?: HistoryFacts;
}

export type Authorization =
  | {
      readonly decision: 'allow';
      readonly policy: Digest;
      readonly by: readonly string[];
      readonly obligations: readonly string[];
      readonly limits: CallLimits;
      /** Canonical JSON of everything the policy saw beyond the request; kept for replay. */
      readonly inputJson: string;
      readonly permit: string;
    }
  | {
      readonly decision: 'deny';
      readonly code: DenialCode;
      readonly by: readonly string[];
      readonly detail?: string;
      readonly policy?: Digest;
      readonly inputJson?: string;
    };
