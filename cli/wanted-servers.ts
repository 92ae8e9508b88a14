// A gate that many clients share starts a server when the first of them needs it, and not before: what nobody uses costs nothing. Until then nothing of
// the server is known to any client.

/** As long as a client waits for a first start. */
const WAITED_FOR_MS = 15_000;

export class WantedServers {
  readonly #wanted = new Set<string>();
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(from: readonly string[]) {
    for (const server of from) this.#wanted.add(server);
  }

  has(server: string): boolean {
    return this.#wanted.has(server);
  }

  /** False where it was wanted before. */
  add(server: string): boolean {
    if (this.#wanted.has(server)) return false;
    this.#wanted.add(server);
    return true;
  }

  /** Resolves when it is known what becomes of the server, or when a client should not be kept waiting any longer. */
  known(server: string): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(server) ?? new Set();
      const timer = setTimeout(() => done(), WAITED_FOR_MS);
      const done = (): void => {
        clearTimeout(timer);
        waiting.delete(done);
        resolve();
      };
      waiting.add(done);
      this.#waiting.set(server, waiting);
    });
  }

  /** It is served, set aside, or not there. */
  tell(server: string): void {
    for (const done of this.#waiting.get(server) ?? []) done();
  }
}
