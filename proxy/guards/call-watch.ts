// What speaks against one call while it is under way: its time, the silence of its tool, and whatever takes its authority away. Whatever cannot be
// established does too. It says so and does nothing about it.

import type { Denial } from '../../domain/denial.ts';
import type { ExecutionEvent } from '../../state-machines/execution-events.ts';
import type { Deadline } from '../deadline.ts';
import type { Clock } from '../ports.ts';
import { Liveness } from './liveness.ts';

export interface CallWatchPorts {
  readonly clock: Clock;
  readonly deadline: Deadline;
  /** Whether its tool works on it. */
  readonly isRunning: () => boolean;
  /** Why it does not stand any more, once it is with its tool. */
  readonly stands: (hasAnswered: boolean) => Denial | undefined;
}

export class CallWatch {
  readonly #ports: CallWatchPorts;
  /** Absent where silence is no reason to stop it, and once it has answered. */
  #liveness: Liveness | undefined;
  #handedOverAt: number | undefined;
  #hasAnswered = false;

  constructor(ports: CallWatchPorts) {
    this.#ports = ports;
  }

  /** Its tool has it from now on, and may be silent for so long; for ever when undefined. */
  handedOver(idleMs: number | undefined): void {
    this.#handedOverAt = this.#ports.clock.monotonic();
    if (idleMs !== undefined) this.#liveness = new Liveness(idleMs, this.#handedOverAt);
  }

  progress(value: unknown): void {
    this.#liveness?.progress(value, this.#ports.clock.monotonic());
  }

  answered(): void {
    this.#liveness = undefined;
    this.#hasAnswered = true;
  }

  /** Since it was handed over, in whole milliseconds. */
  get ms(): number {
    const now = this.#ports.clock.monotonic();
    return Math.round(now - (this.#handedOverAt ?? now));
  }

  /** So much time passed that no clock of ours saw. */
  lapse(ms: number): void {
    this.#ports.deadline.lapse(ms);
    this.#liveness?.lapse(ms);
  }

  /** Why it must not go on, by the world of this tick. */
  whyStop():
    | Extract<ExecutionEvent, { type: 'deadline.passed' | 'authority.withdrawn' | 'fault.occurred' }>
    | undefined {
    const { clock, deadline, isRunning, stands } = this.#ports;
    try {
      if (deadline.isOver) return { type: 'deadline.passed' };
      if (!isRunning() || this.#handedOverAt === undefined) return undefined;
      const now = clock.monotonic();
      // Who waits for the client owes nothing meanwhile.
      if (deadline.isPaused) this.#liveness?.excuse(now);
      if (this.#liveness?.isSilent(now) === true) return { type: 'deadline.passed', code: 'TOOL_SILENT' };
      const refused = stands(this.#hasAnswered);
      return refused === undefined ? undefined : { type: 'authority.withdrawn', ...refused };
    } catch (fault) {
      return { type: 'fault.occurred', code: 'VERIFIER_FAULT', detail: String(fault) };
    }
  }
}
