// The newest moments of something, as many as can matter: whoever asks how many lie within a window hears the number up to that capacity.

export class Window {
  #times: number[];
  #start = 0;

  constructor(times: readonly number[] = []) {
    this.#times = [...times];
  }

  get times(): readonly number[] {
    return this.#times.slice(this.#start);
  }

  /** `at` is not before any moment that was added before. */
  add(at: number, capacity: number): void {
    this.#times.push(at);
    if (this.#times.length - this.#start > capacity) this.#start = this.#times.length - capacity;
    this.#shrink();
  }

  /** How many lie less than `windowMs` before `now`. What lies before is forgotten. */
  count(now: number, windowMs: number): number {
    while ((this.#times[this.#start] ?? now) <= now - windowMs) this.#start += 1;
    this.#shrink();
    return this.#times.length - this.#start;
  }

  #shrink(): void {
    if (this.#start < 64 || this.#start * 2 < this.#times.length) return;
    this.#times = this.#times.slice(this.#start);
    this.#start = 0;
  }
}
