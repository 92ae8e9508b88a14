// How long a silent thread is waited for. What counts is the time for which the thread itself had a processor, because a busy machine is no
// fault of the thread; a bound on the clock catches what waits for something that never comes. Pure: clocks come in.

export interface PatienceClocks {
  /** Milliseconds by a clock that never goes back. */
  readonly now: () => number;
  /** Milliseconds for which the watched thread has had a processor. */
  readonly processor: () => number;
}

/** How many times the deadline may pass on the clock while the thread hardly runs, or waits for the file system. */
const STARVED_FACTOR = 10;

export class Patience {
  readonly #deadlineMs: number;
  readonly #suspicionMs: number;
  readonly #clocks: PatienceClocks;
  #heardAt: number;
  /** Processor time at the moment in which the silence became suspicious; asking for it is too dear for every message. */
  #suspectedAt: number | undefined;

  constructor(deadlineMs: number, clocks: PatienceClocks) {
    this.#deadlineMs = deadlineMs;
    this.#suspicionMs = deadlineMs / 5;
    this.#clocks = clocks;
    this.#heardAt = clocks.now();
  }

  /** The thread spoke, or was given something to do after it had nothing. */
  heard(): void {
    this.#heardAt = this.#clocks.now();
    this.#suspectedAt = undefined;
  }

  /** Milliseconds after which to ask again, or undefined when the thread has been silent for too long. */
  next(): number | undefined {
    const silence = this.#clocks.now() - this.#heardAt;
    if (silence < this.#suspicionMs) return this.#suspicionMs - silence;
    if (silence >= this.#deadlineMs * STARVED_FACTOR) return undefined;
    const processor = this.#clocks.processor();
    this.#suspectedAt ??= processor;
    const left = this.#deadlineMs - this.#suspicionMs - (processor - this.#suspectedAt);
    return left > 0 ? Math.max(left, 10) : undefined;
  }
}
