// The facts of one execution, in the past tense. Entries of the ledger carry exactly these values, so replay folds them as they are.
// What an event names by commitment lies in the vault.

import type { DenialCode } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import type { CallId } from '../domain/ids.ts';
import type { Lineage } from '../domain/lineage.ts';
import type { Principal } from '../domain/principal.ts';

/** A salted commitment to bytes in the vault, and their number. */
export interface Committed {
  readonly commitment: Digest;
  readonly bytes: number;
}

/** How an execution belongs to another one: a server asks the client within a call, or a call goes on where an earlier one stopped. */
export interface CallRelation {
  readonly kind: 'within' | 'continues';
  readonly call: CallId;
}

/** Opens every execution. `server`, `tool` and `args` are null where the message never got far enough to name them. */
export interface CallRequested {
  readonly type: 'call.requested';
  /** Milliseconds since 1970 by the gate's clock. */
  readonly at: number;
  readonly call: CallId;
  readonly method: string;
  readonly server: string | null;
  readonly tool: string | null;
  readonly principal: Principal;
  readonly args: Committed | null;
  readonly lineage: Lineage;
  /** Who the client says that it is, cut short. Nothing was decided by it. */
  readonly claimed?: { readonly name: string; readonly version?: string };
  readonly relation?: CallRelation;
}

export interface DecisionAllowed {
  readonly type: 'decision.allowed';
  /** Digest of the policy bundle that decided. */
  readonly policy: Digest;
  /** The ids of the deciding rules, sorted. */
  readonly by: readonly string[];
  readonly obligations: readonly string[];
  /** What the policy saw beyond the call itself; in the vault. */
  readonly input: Committed;
  /** The permit: a compact JWS. */
  readonly permit: string;
}

export interface DecisionDenied {
  readonly type: 'decision.denied';
  readonly code: DenialCode;
  readonly by: readonly string[];
  readonly detail?: string;
  readonly policy?: Digest;
  readonly input?: Committed;
}

export interface PermitVerified {
  readonly type: 'permit.verified';
  readonly jti: string;
}

export interface PermitRefused {
  readonly type: 'permit.refused';
  readonly code: DenialCode;
  readonly detail?: string;
}

/** The intent entry is durable. From here a crash means: may have run. */
export interface IntentRecorded {
  readonly type: 'intent.recorded';
  /** Sequence number of the intent entry. */
  readonly seq: number;
}

/** The last check before the bytes leave failed: they did not leave. */
export interface DispatchRefused {
  readonly type: 'dispatch.refused';
  readonly code: DenialCode;
  readonly detail?: string;
}

export interface ToolAnswered {
  readonly type: 'tool.answered';
  /** Milliseconds between dispatch and answer. */
  readonly ms: number;
  readonly isError: boolean;
  readonly result: Committed;
  /** The answer is not the end of the matter: the peer needs answers first, or goes on by itself. */
  readonly incomplete?: 'input_required' | 'task';
}

export interface OutputRefused {
  readonly type: 'output.refused';
  readonly ms: number;
  readonly code: DenialCode;
  readonly detail?: string;
  readonly result?: Committed;
}

/** The connection to the tool ended before its answer. */
export interface ToolLost {
  readonly type: 'tool.lost';
  readonly detail?: string;
}

export interface OutcomeRecorded {
  readonly type: 'outcome.recorded';
  readonly seq: number;
}

export interface DenialRecorded {
  readonly type: 'denial.recorded';
  readonly seq: number;
}

/** The ledger refused an entry of this execution. */
export interface RecordFailed {
  readonly type: 'record.failed';
  readonly code: DenialCode;
  readonly detail?: string;
}

export interface CallCancelled {
  readonly type: 'call.cancelled';
  readonly by: 'client' | 'disconnect' | 'shutdown';
}

export interface DeadlinePassed {
  readonly type: 'deadline.passed';
  /** Which time it was that passed, where it is not that of the whole call. */
  readonly code?: 'TOOL_SILENT';
}

export interface AuthorityWithdrawn {
  readonly type: 'authority.withdrawn';
  readonly code: DenialCode;
  readonly detail?: string;
}

/** Something we need failed outside of us (a port rejected or did not answer). */
export interface FaultOccurred {
  readonly type: 'fault.occurred';
  readonly code: DenialCode;
  readonly detail?: string;
}

/** The gate starts and finds this execution without an ending. */
export interface GateRestarted {
  readonly type: 'gate.restarted';
  readonly epoch: number;
}

export type ExecutionEvent =
  | DecisionAllowed
  | DecisionDenied
  | PermitVerified
  | PermitRefused
  | IntentRecorded
  | DispatchRefused
  | ToolAnswered
  | OutputRefused
  | ToolLost
  | OutcomeRecorded
  | DenialRecorded
  | RecordFailed
  | CallCancelled
  | DeadlinePassed
  | AuthorityWithdrawn
  | FaultOccurred
  | GateRestarted;

export type ExecutionEventType = ExecutionEvent['type'];
