// What servers offer besides tools. Prompts and templates are those that were approved. Resources are data and change while a server runs: their list
// is read when a client asks and kept for a moment. A server that is slow or gone delays nobody for long: then the last list known stands in, or none.

import type { JsonObject } from '../domain/json.ts';
import type { Catalogue } from './catalogue.ts';
import { LIST_FRESH_MS, LIST_WAIT_MS } from './limits.ts';
import type { Clock } from './ports.ts';
import type { Customer, ServerPool } from './server-pool.ts';
import type { OfferKind } from './tool-server.ts';

interface Kept {
  items: readonly JsonObject[];
  /** By the monotonic clock; -Infinity once the server said that the list changed. */
  readAt: number;
  reading: Promise<void> | undefined;
  /** Somebody has waited for this reading in vain already. */
  late: boolean;
}

/** The requests that list them. */
export const LISTED_BY: Readonly<Record<string, OfferKind>> = {
  'prompts/list': 'prompts',
  'resources/list': 'resources',
  'resources/templates/list': 'resourceTemplates',
};

/** The capability that a server declares when it has such a list. */
const CAPABILITY: Record<OfferKind, 'prompts' | 'resources'> = {
  prompts: 'prompts',
  resources: 'resources',
  resourceTemplates: 'resources',
};

export class Offers {
  readonly #clock: Clock;
  readonly #servers: ServerPool;
  readonly #catalogue: Catalogue;
  /** By whose server it is: everybody's, which is this, or one client's own. */
  readonly #kept = new WeakMap<object, Map<string, Kept>>();

  constructor(clock: Clock, servers: ServerPool, catalogue: Catalogue) {
    this.#clock = clock;
    this.#servers = servers;
    this.#catalogue = catalogue;
  }

  /** The items of one server's list, as it gives them to this customer. Hostile text. Never rejects. */
  async of(server: string, kind: OfferKind, customer: Customer): Promise<readonly JsonObject[]> {
    if (kind !== 'resources') return this.#catalogue.server(server)?.[kind] ?? [];
    if (this.#servers.description(server)?.capabilities[CAPABILITY[kind]] === undefined) return [];
    const { conversation } = customer;
    const scope = (conversation === undefined ? undefined : this.#servers.scope(server, conversation)) ?? this;
    const lists = this.#kept.get(scope) ?? new Map<string, Kept>();
    this.#kept.set(scope, lists);
    const key = `${kind} ${server}`;
    let kept = lists.get(key);
    if (kept === undefined) {
      kept = { items: [], readAt: Number.NEGATIVE_INFINITY, reading: undefined, late: false };
      lists.set(key, kept);
    }
    if (this.#clock.monotonic() - kept.readAt > LIST_FRESH_MS)
      await this.#read(() => this.#servers.list(server, kind, customer), kept);
    return kept.items;
  }

  /** A server said that its list changed: one that all share, or the one that belongs to `scope` alone. */
  changed(server: string, kind: OfferKind, scope: object = this): void {
    const kept = this.#kept.get(scope)?.get(`${kind} ${server}`);
    if (kept !== undefined) kept.readAt = Number.NEGATIVE_INFINITY;
  }

  async #read(list: () => Promise<readonly JsonObject[]>, kept: Kept): Promise<void> {
    kept.reading ??= Promise.resolve()
      .then(list)
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
