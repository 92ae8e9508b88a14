// Clients as those who execute: for each call within which its client is asked something, the way to that client.

import type { CallId } from '../domain/ids.ts';
import type { Peer } from './tool-server.ts';

export class Channels {
  readonly #open = new Map<CallId, { readonly client: Peer; users: number }>();

  /** Opens the way, or uses the open one; the returned function withdraws this use. */
  open(call: CallId, client: Peer): () => void {
    const channel = this.#open.get(call) ?? { client, users: 0 };
    this.#open.set(call, channel);
    channel.users += 1;
    return () => {
      channel.users -= 1;
      if (channel.users === 0) this.#open.delete(call);
    };
  }

  get(call: CallId): Peer | undefined {
    return this.#open.get(call)?.client;
  }
}
