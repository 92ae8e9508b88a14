// Which servers a program need not wait for: those of which it is known what the policy makes of them, and those that take too long. A command tells its clients
// of servers that come later; a program calls what it has put there itself, a moment ago.

import type { Clock } from '../proxy/ports.ts';

/** As long as clients wait. */
export const ARRIVES_WITHIN_MS = 15_000;

export class Arrivals {
  readonly #clock: Clock;
  readonly #from: number;
  /** When the wait for a server begins, where that is not from the start. */
  readonly #since: (server: string) => number | undefined;
  readonly #awaited: Set<string>;
  readonly #waiting = new Set<() => void>();

  constructor(servers: Iterable<string>, clock: Clock, since: (server: string) => number | undefined) {
    this.#awaited = new Set(servers);
    this.#clock = clock;
    this.#from = clock.monotonic();
    this.#since = since;
  }

  judged(servers: readonly string[]): void {
    for (const server of servers) this.#awaited.delete(server);
    this.#wake();
  }

  /** Nothing comes any more. */
  close(): void {
    this.#awaited.clear();
    this.#wake();
  }

  /** Resolves when no server is waited for. The process does not end before that. */
  async all(): Promise<void> {
    for (let left = this.#leftMs(); left > 0; left = this.#leftMs()) {
      await new Promise<void>((resolve) => {
        const stop = this.#clock.timer(left, () => wake());
        const wake = (): void => {
          stop();
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  #leftMs(): number {
    const now = this.#clock.monotonic();
    return Math.max(
      0,
      ...[...this.#awaited].map((server) => (this.#since(server) ?? this.#from) + ARRIVES_WITHIN_MS - now),
    );
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
