// Calls that ended lately, so that one that begins or ends again is told from one that was never there. Bounded: the oldest are forgotten.

const REMEMBERED = 4_096;

export class EndedCalls {
  #latest = new Set<string>();
  #before: ReadonlySet<string> = new Set();

  add(call: string): void {
    if (this.#latest.size >= REMEMBERED) {
      this.#before = this.#latest;
      this.#latest = new Set();
    }
    this.#latest.add(call);
  }

  has(call: string): boolean {
    return this.#latest.has(call) || this.#before.has(call);
  }
}
