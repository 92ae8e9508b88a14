// How an execution that may have reached its tool ended. "It did not run" is a claim that needs proof: only `aborted` with
// `dispatched: false` makes it.

import type { DenialCode } from './denial.ts';
import type { JsonObject } from './json.ts';

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

/**
 * Whether nobody knows how far it came. Not where an answer came that was withheld: then it ran. And not where the client itself gave it up: whoever
 * does that says so of a call that it knows, and may say the opposite next.
 */
export function mayHaveRun({ status, dispatched }: Outcome, events: readonly JsonObject[]): boolean {
  if (!dispatched) return false;
  switch (status) {
    case 'unknown':
    case 'timed_out':
      return true;
    case 'aborted':
      return !events.some(({ type, by }) => type === 'call.cancelled' && by === 'client');
    case 'completed':
    case 'errored':
    case 'incomplete':
    case 'withheld':
      return false;
  }
}
