// Who hears what servers say unasked. A conversation hears of the servers in its view; of what a server says to one client it hears only if
// it is that client, and where that cannot be told nobody does.

import type { Notice } from './tool-server.ts';

export interface Listener {
  /** Whether this server is in its view. */
  sees(server: string): boolean;
  noticed(server: string, notice: Notice): void;
}

/** On a connection that several clients share nobody can say whose call such a message is about. */
const ABOUT_ONE_CLIENT: ReadonlySet<string> = new Set(['notifications/message', 'notifications/elicitation/complete']);

/** What a server may say unasked. Everything else belongs to a call, or is nothing that a client ever hears. */
const UNASKED: ReadonlySet<string> = new Set([
  ...ABOUT_ONE_CLIENT,
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
  'notifications/resources/list_changed',
  'notifications/resources/updated',
  'notifications/tasks',
  'notifications/tasks/status',
]);

export class Notices {
  readonly #listeners = new Set<Listener>();

  join(listener: Listener): void {
    this.#listeners.add(listener);
  }

  leave(listener: Listener): void {
    this.#listeners.delete(listener);
  }

  /** `only`: it comes from a server that belongs to this listener alone. */
  tell(server: string, notice: Notice, only?: object): void {
    if (!UNASKED.has(notice.method)) return;
    const concerned = [...this.#listeners].filter(
      (listener) => listener.sees(server) && (only === undefined || only === listener),
    );
    if (ABOUT_ONE_CLIENT.has(notice.method) && concerned.length > 1) return;
    for (const listener of concerned) listener.noticed(server, notice);
  }
}
