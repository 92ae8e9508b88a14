// Clients that share a connection share what it is subscribed to: for the server there is one subscription to each resource. It is given up
// when the last of them has, so that no client ends what another one listens to. Whoever goes away in silence keeps its share.

import type { Dispatch, ToolRun } from '../../proxy/tool-server.ts';

/** Of one connection. The one that was subscribed to first is forgotten first: it can then be given up by anybody. */
const RESOURCES_MAX = 10_000;

interface Held {
  /** Nobody is kept alive by what it was subscribed to. */
  readonly by: WeakSet<object>;
  holders: number;
}

const ANYBODY = {};

export class ResourceHolders {
  readonly #held = new Map<string, Held>();

  /** Hands a message over by `send`, except where it would end what others still listen to. */
  dispatch({ method, body, manner }: Pick<Dispatch, 'method' | 'body' | 'manner'>, send: () => ToolRun): ToolRun {
    if (method !== 'resources/subscribe' && method !== 'resources/unsubscribe') return send();
    const { uri } = JSON.parse(body) as { readonly uri: string }; // Ours: what the rules decided about.
    const { sender = ANYBODY } = manner;
    if (method === 'resources/unsubscribe') return this.#leave(uri, sender) ? send() : DONE;
    // Counted from now on: who leaves meanwhile must not take it along.
    const joined = this.#join(uri, sender);
    const run = send();
    void run.answer.then(({ kind }) => {
      if (joined && kind !== 'result') this.#leave(uri, sender);
    });
    return run;
  }

  /** Whether it is new to this client. */
  #join(uri: string, sender: object): boolean {
    const held = this.#held.get(uri) ?? { by: new WeakSet(), holders: 0 };
    if (held.by.has(sender)) return false;
    const [oldest] = this.#held.keys();
    if (this.#held.size >= RESOURCES_MAX && oldest !== undefined && !this.#held.has(uri)) this.#held.delete(oldest);
    held.by.add(sender);
    held.holders += 1;
    this.#held.set(uri, held);
    return true;
  }

  /** Whether nobody is left. */
  #leave(uri: string, sender: object): boolean {
    const held = this.#held.get(uri);
    if (held === undefined) return true;
    if (held.by.delete(sender)) held.holders -= 1;
    if (held.holders > 0) return false;
    this.#held.delete(uri);
    return true;
  }
}

const DONE: ToolRun = { answer: Promise.resolve({ kind: 'result', result: {}, bytes: 2 }), cancel: () => undefined };
