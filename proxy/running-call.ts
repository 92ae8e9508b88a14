// One execution as everybody else sees it: what starts it, what can be done with it while it is under way, and what running it takes. How it is run is
// runner.ts.

import type { Authorization, CallLimits } from '../control-plane/authorization.ts';
import type { Denial, DenialCode } from '../domain/denial.ts';
import type { CallId } from '../domain/ids.ts';
import type { Lineage } from '../domain/lineage.ts';
import type { CallRequested, ExecutionEvent } from '../state-machines/execution-events.ts';
import type { CallTree } from './call-tree.ts';
import type { CapturedCall } from './captured-call.ts';
import type { CallEnd } from './client-view.ts';
import type { Gate } from './gate.ts';
import type { Guarded, Watchdog } from './guards/watchdog.ts';
import type { OutputCheck } from './output-check.ts';
import type { PolicyTurnover } from './policy-turnover.ts';
import type { Clock, GateCrypto, Recorder } from './ports.ts';
import type { Turn } from './server-turns.ts';
import type { Asking, CallHooks, Question } from './tool-server.ts';
import type { RetryGuard } from './unknown-calls.ts';

export interface RunnerPorts {
  readonly gate: Gate;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly crypto: GateCrypto;
  readonly checkOutput: OutputCheck;
  /** Everything between request and decision: pinned definition, schema, policy. Never rejects. */
  readonly decide: (call: CapturedCall) => Promise<Authorization>;
  /** Where policies take over from each other while the gate runs. */
  readonly turnover?: PolicyTurnover | undefined;
  /** The chains that calls belong to: what is under a call ends before it does. */
  readonly tree: Pick<CallTree, 'end' | 'elsewhere'>;
  /** For how long a tool of this server may show no progress; for as long as the call may last when undefined. */
  readonly idleTimeoutMs?: ((server: string) => number | undefined) | undefined;
  /** After the gate stood still: nothing goes out and nothing is released before what waited meanwhile was heard. */
  readonly watchdog?: Pick<Watchdog, 'smooth' | 'isStalled'> | undefined;
  /** Remembers calls of which nobody knows whether they ran. */
  readonly retries?: Pick<RetryGuard, 'ended'> | undefined;
  /** An ending could not be recorded. The gate must shut until the ledger can be written again. */
  readonly onUnrecorded: (code: DenialCode) => void;
  /** A defect of ours. The gate must shut. */
  readonly onDefect: (defect: unknown) => void;
}

export interface CallOptions {
  /** Bounds on the whole call, waiting included, until the permit says less. */
  readonly limits: CallLimits;
  /** What the peer says meanwhile. It hears of nothing once the call was stopped. */
  readonly hooks: CallHooks;
  /** Records that a question of the server was not put to the client, and answers it so. */
  readonly refuseQuestion: (question: Question, denial: Denial) => Asking;
  /** Asked before questions are released that the client is to answer in its next message: whether they may be put to it. */
  readonly admitQuestions: (questions: Readonly<Record<string, Question>>) => Promise<Denial | undefined>;
  /** Taken before the call is decided, and left when nothing of it is with the tool. */
  readonly turn?: Turn | undefined;
}

/** What others can do to an execution. */
export type Stop = Extract<ExecutionEvent, { type: 'call.cancelled' | 'authority.withdrawn' | 'fault.occurred' }>;

/** One execution that is under way. */
export interface RunningCall extends Guarded {
  readonly call: CallId;
  readonly end: Promise<CallEnd>;
  /** Of the permit that it was verified with; empty before that. */
  readonly permit: string;
  /** Where it stands. */
  readonly lineage: Lineage;
  /** Stops what can be stopped. A call that has ended is left as it is. */
  stop(event: Stop): void;
}

/** A request that was refused before it could be captured: it has no arguments that we could vouch for. */
export interface RefusedRequest {
  readonly requested: CallRequested;
  readonly denial: Denial;
}
