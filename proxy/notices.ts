// Who hears what servers say unasked. A conversation hears of the servers in its view; of what a server says to one client it hears only if
// it is that client, and where that cannot be told nobody does.

import type { Asking, Notice, Question } from './tool-server.ts';

export interface Listener {
  /** Whether this server is in its view. */
  sees(server: string): boolean;
  noticed(server: string, notice: Notice): void;
  /** Puts a question to its client that belongs to no call; undefined where the client cannot be asked now. */
  asked(server: string, question: Question): Asking | undefined;
  /** A server that has no other client can take calls. */
  ready(server: string): void;
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

  /** A server asks within no call: `only`, or the one there is. */
  ask(server: string, question: Question, only?: object): Asking | undefined {
    return this.#oneOf(server, only)?.asked(server, question);
  }

  /** A server can take calls: of `only`, or of the one there is. */
  ready(server: string, only?: object): void {
    this.#oneOf(server, only)?.ready(server);
  }

  /** `only`: it comes from a server that belongs to this listener alone. */
  tell(server: string, notice: Notice, only?: object): void {
    if (!UNASKED.has(notice.method)) return;
    const concerned = this.#concerned(server, only);
    if (ABOUT_ONE_CLIENT.has(notice.method) && concerned.length > 1) return;
    for (const listener of concerned) listener.noticed(server, notice);
  }

  #oneOf(server: string, only: object | undefined): Listener | undefined {
    const [one, other] = this.#concerned(server, only);
    return other === undefined ? one : undefined;
  }

  #concerned(server: string, only: object | undefined): readonly Listener[] {
    return [...this.#listeners].filter(
      (listener) => listener.sees(server) && (only === undefined || only === listener),
    );
  }
}
