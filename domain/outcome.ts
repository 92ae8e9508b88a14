// How an execution that may have reached its tool ended. "It did not run" is a claim that needs proof: only `aborted` with
// `dispatched: false` makes it.

import type { DenialCode } from './denial.ts';

export type OutcomeStatus =
  /** The tool answered and the answer was checked. */
  | 'completed'
  /** The tool answered that it failed; the answer was checked. */
  | 'errored'
  /** The peer answered, and the answer was checked, but it is not the end: it needs answers first, or goes on as a task. */
  | 'incomplete'
  /** Stopped by us or by the client before the tool answered. */
  | 'aborted'
  /** The tool answered, but its answer may not be released. */
  | 'withheld'
  | 'timed_out'
  /** The tool may or may not have run: connection lost, process died, gate restarted. */
  | 'unknown';

export interface Outcome {
  readonly status: OutcomeStatus;
  /** False only when the bytes provably never left for the tool. */
  readonly dispatched: boolean;
  /** Why the client is denied the result; absent exactly for `completed` and `errored`. */
  readonly code?: DenialCode;
}
