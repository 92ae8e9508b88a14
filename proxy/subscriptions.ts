// Which resources one conversation is subscribed to. A subscription follows from what the server accepted and the ledger holds; what is
// updated between the two is told once it does.

import { SUBSCRIPTIONS_PER_SESSION_MAX } from './limits.ts';

interface Change {
  readonly method: string;
  readonly server: string;
  readonly arguments: { readonly uri?: unknown };
}

interface Requested {
  requests: number;
  /** The latest update meanwhile, as it would be told. */
  tell: (() => void) | undefined;
}

export class Subscriptions {
  /** As `server uri`. */
  readonly #held = new Set<string>();
  readonly #requested = new Map<string, Requested>();

  /** The client asked for something. Only requests about subscriptions matter. */
  requested({ method, server, arguments: { uri } }: Change): void {
    if (method !== 'resources/subscribe') return;
    const key = keyOf(server, String(uri));
    const requested = this.#requested.get(key) ?? { requests: 0, tell: undefined };
    requested.requests += 1;
    this.#requested.set(key, requested);
  }

  /** What became of that. */
  ended({ method, server, arguments: { uri } }: Change, accepted: boolean): void {
    const key = keyOf(server, String(uri));
    if (method === 'resources/unsubscribe' && accepted) this.#held.delete(key);
    if (method !== 'resources/subscribe') return;
    if (accepted && this.#held.size < SUBSCRIPTIONS_PER_SESSION_MAX) this.#held.add(key);
    const requested = this.#requested.get(key);
    if (requested === undefined) return;
    requested.requests -= 1;
    if (requested.requests === 0) this.#requested.delete(key);
    if (!this.#held.has(key)) return;
    // Behind the answer to the request, which is on its way.
    const { tell } = requested;
    requested.tell = undefined;
    if (tell !== undefined) queueMicrotask(tell);
  }

  /** Whether an update is to be told now. Where a request that would make it so is under way, `tell` is kept until that has ended. */
  concern(server: string, uri: string, tell: () => void): boolean {
    const holders = prefixesOf(uri).map((prefix) => keyOf(server, prefix));
    if (holders.some((key) => this.#held.has(key))) return true;
    for (const key of holders) {
      const requested = this.#requested.get(key);
      if (requested !== undefined) requested.tell = tell;
    }
    return false;
  }
}

/** Whether a resource is one of these, or may be a part of one. */
export function isPartOf(resources: ReadonlySet<string>, uri: string): boolean {
  return prefixesOf(uri).some((prefix) => resources.has(prefix));
}

function keyOf(server: string, uri: string): string {
  return `${server} ${uri}`;
}

/** The resource itself and those that it may be a part of: a server may tell a subscriber of the part that changed. */
function prefixesOf(uri: string): string[] {
  const ends = [...uri.matchAll(/[/?#]/g)].slice(0, PARTS_MAX).map(({ index }) => index);
  return [uri, ...ends.flatMap((end) => [uri.slice(0, end), uri.slice(0, end + 1)])];
}

const PARTS_MAX = 64;
