// Servers that run are asked again what they are, although they said nothing of a change: when what they listed holds no longer by their own word, and every
// five minutes in any case. What becomes of the answer is not decided here.

/** A server that runs, and can be asked. */
export interface Relisted {
  /** For how long what it listed holds, by its own word. */
  readonly freshForMs?: number | undefined;
  relist(): Promise<void>;
}

/** At the latest. */
export const RELIST_EVERY_MS = 5 * 60_000;
/** No server has itself asked more often than this, whatever it says. */
export const RELIST_LOOK_MS = 10_000;

export interface RelistingTimes {
  /** Monotonic. */
  readonly nowMs: () => number;
  /** Calls `then` every `ms`, and keeps no process alive for it; the returned function calls it off. */
  readonly every: (ms: number, then: () => void) => () => void;
}

const OWN_TIMES: RelistingTimes = {
  nowMs: () => performance.now(),
  every: (ms, then) => {
    const timer = setInterval(then, ms).unref();
    return () => clearInterval(timer);
  },
};

export class Relisting {
  readonly #running: () => Iterable<Relisted>;
  readonly #times: RelistingTimes;
  /** When each was asked last, or seen first; what does not run any more is forgotten with it. */
  readonly #askedMs = new WeakMap<Relisted, number>();
  readonly #asking = new WeakSet<Relisted>();
  readonly #stop: () => void;

  /** `running`: the same object for the same server each time. */
  constructor(running: () => Iterable<Relisted>, times: RelistingTimes = OWN_TIMES) {
    this.#running = running;
    this.#times = times;
    this.#stop = times.every(RELIST_LOOK_MS, () => this.#look());
  }

  close(): void {
    this.#stop();
  }

  #look(): void {
    const nowMs = this.#times.nowMs();
    for (const server of this.#running()) {
      const askedMs = this.#askedMs.get(server);
      if (askedMs === undefined) this.#askedMs.set(server, nowMs);
      else if (nowMs - askedMs >= Math.min(server.freshForMs ?? RELIST_EVERY_MS, RELIST_EVERY_MS))
        void this.#ask(server);
    }
  }

  /** One that has not answered yet is not asked once more. */
  async #ask(server: Relisted): Promise<void> {
    if (this.#asking.has(server)) return;
    this.#asking.add(server);
    await server.relist().catch(() => undefined);
    this.#asking.delete(server);
    this.#askedMs.set(server, this.#times.nowMs());
  }
}
