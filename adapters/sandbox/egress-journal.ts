// What is told to the recorder of a server's way out, at a bounded rate. A connection that is made is always told by itself: where the rate is used up,
// none is made. Refusals beyond the rate are counted and told together.

import type { EgressLimits } from './egress-limits.ts';
import type { EgressClosing, EgressOpening, EgressRecorder, EgressRefusal } from './ports.ts';

export class EgressJournal {
  readonly #recorder: EgressRecorder;
  readonly #limits: EgressLimits;
  readonly #now: () => number;
  #left: number;
  #filledAt: number;
  #untold = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #writing = new Set<Promise<void>>();

  /** `now`: milliseconds of a clock that does not jump. */
  constructor(recorder: EgressRecorder, limits: EgressLimits, now: () => number) {
    this.#recorder = recorder;
    this.#limits = limits;
    this.#now = now;
    this.#left = limits.entriesBurst;
    this.#filledAt = now();
  }

  /** Whether another connection may be made: it takes two entries, and the second cannot be left out later. */
  takesConnection(): boolean {
    return this.#take(2);
  }

  opened(opening: EgressOpening): Promise<void> {
    return this.#recorder.opened(opening);
  }

  /** Never rejects: who records stops the gate when it cannot. */
  closed(closing: EgressClosing): void {
    this.#write(this.#recorder.closed(closing));
  }

  refused(refusal: Omit<EgressRefusal, 'count'>): void {
    if (this.#untold === 0 && this.#take(1)) {
      this.#write(this.#recorder.refused({ ...refusal, count: 1 }));
      return;
    }
    this.#untold += 1;
    this.#timer ??= setTimeout(() => this.#summarise(), this.#limits.summaryMs).unref();
  }

  /** Tells what is untold, and resolves when all of it was taken. */
  async close(): Promise<void> {
    this.#summarise();
    await Promise.all(this.#writing);
  }

  #summarise(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#untold === 0) return;
    this.#write(this.#recorder.refused({ reason: 'too_many', host: null, port: null, count: this.#untold }));
    this.#untold = 0;
  }

  #take(entries: number): boolean {
    const { entriesBurst, entriesPerSecond } = this.#limits;
    const now = this.#now();
    this.#left = Math.min(entriesBurst, this.#left + ((now - this.#filledAt) / 1_000) * entriesPerSecond);
    this.#filledAt = now;
    if (this.#left < entries) return false;
    this.#left -= entries;
    return true;
  }

  #write(told: Promise<void>): void {
    const written = told.catch(() => undefined).finally(() => this.#writing.delete(written));
    this.#writing.add(written);
  }
}
