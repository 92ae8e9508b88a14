// Calls that wait here for their client between two of its requests. Each waits for so long and no longer, and there are so many and no more.

import type { CallId } from '../../../domain/ids.ts';
import { HELD_CALL_MS, HELD_CALLS_MAX, HELD_CALLS_PER_PRINCIPAL_MAX } from '../../../proxy/limits.ts';
import type { Clock } from '../../../proxy/ports.ts';
import type { RunningCall } from '../../../proxy/running-call.ts';
import type { HeldCall } from './held-call.ts';

/** The calls that are held now, each under the id of its execution. */
export class HeldCalls {
  readonly #clock: Clock;
  readonly #held = new Map<CallId, { readonly call: HeldCall; readonly agent: string; release(): void }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Holds a call until it is taken, ends or has waited for too long; false when no more are held, and then it must be stopped. */
  hold(call: HeldCall, running: RunningCall, agent: string): boolean {
    const own = [...this.#held.values()].filter((held) => held.agent === agent);
    if (this.#held.size >= HELD_CALLS_MAX || own.length >= HELD_CALLS_PER_PRINCIPAL_MAX) return false;
    const release = this.#clock.timer(HELD_CALL_MS, () => {
      this.#held.delete(running.call);
      call.stop('disconnect');
    });
    const held = { call, agent, release };
    this.#held.set(running.call, held);
    void running.end.then(() => {
      if (this.#held.get(running.call) !== held) return;
      release();
      this.#held.delete(running.call);
    });
    return true;
  }

  /** The call, which is not held any more. */
  take(id: CallId): HeldCall | undefined {
    const held = this.#held.get(id);
    held?.release();
    this.#held.delete(id);
    return held?.call;
  }
}
