// What servers offer besides tools: prompts, resources and templates. Such lists change while a server runs, so they are read when a client
// asks and kept for a moment. A server that is slow or gone delays nobody for long: then the last list known stands in, or none.

import type { JsonObject } from '../domain/json.ts';
import { LIST_FRESH_MS, LIST_WAIT_MS } from './limits.ts';
import type { Clock } from './ports.ts';
import type { OfferKind, ToolServer } from './tool-server.ts';

interface Kept {
  items: readonly JsonObject[];
  /** By the monotonic clock; -Infinity once the server said that the list changed. */
  readAt: number;
  reading: Promise<void> | undefined;
  /** Somebody has waited for this reading in vain already. */
  late: boolean;
}

/** The capability that a server declares when it has such a list. */
const CAPABILITY: Record<OfferKind, 'prompts' | 'resources'> = {
  prompts: 'prompts',
  resources: 'resources',
  resourceTemplates: 'resources',
};

export class Offers {
  readonly #clock: Clock;
  readonly #server: (name: string) => ToolServer | undefined;
  readonly #kept = new Map<string, Kept>();

  constructor(clock: Clock, server: (name: string) => ToolServer | undefined) {
    this.#clock = clock;
    this.#server = server;
  }

  /** The items of one server's list, as it gave them. Hostile text. Never rejects. */
  async of(server: string, kind: OfferKind): Promise<readonly JsonObject[]> {
    const live = this.#server(server);
    if (live?.description?.capabilities[CAPABILITY[kind]] === undefined) return [];
    const key = `${kind} ${server}`;
    let kept = this.#kept.get(key);
    if (kept === undefined) {
      kept = { items: [], readAt: Number.NEGATIVE_INFINITY, reading: undefined, late: false };
      this.#kept.set(key, kept);
    }
    if (this.#clock.monotonic() - kept.readAt > LIST_FRESH_MS) await this.#read(live, kind, kept);
    return kept.items;
  }

  /** The server said that its list changed. */
  changed(server: string, kind: OfferKind): void {
    const kept = this.#kept.get(`${kind} ${server}`);
    if (kept !== undefined) kept.readAt = Number.NEGATIVE_INFINITY;
  }

  async #read(server: ToolServer, kind: OfferKind, kept: Kept): Promise<void> {
    kept.reading ??= Promise.resolve()
      .then(() => server.list(kind))
      .then(
        (items) => {
          kept.items = items;
          kept.readAt = this.#clock.monotonic();
        },
        // The next client that asks finds out whether it is still so.
        () => {},
      )
      .finally(() => {
        kept.reading = undefined;
        kept.late = false;
      });
    if (!kept.late) await this.#withinPatience(kept, kept.reading);
  }

  async #withinPatience(kept: Kept, reading: Promise<void>): Promise<void> {
    let stop: () => void = () => {};
    const late = new Promise<void>((resolve) => {
      stop = this.#clock.timer(LIST_WAIT_MS, () => {
        kept.late = kept.reading === reading;
        resolve();
      });
    });
    await Promise.race([reading, late]);
    stop();
  }
}
