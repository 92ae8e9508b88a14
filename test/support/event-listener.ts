// What a gate says on one HTTP response while it is open: a client's listening stream, or the stream of one request. Nothing is checked or hidden.

import type { JsonObject } from '../../domain/json.ts';

export class EventListener {
  readonly messages: JsonObject[] = [];
  status = 0;
  over = false;
  readonly #abort = new AbortController();
  readonly #waiting = new Set<() => void>();

  /** Resolves when the head of the response is there, which of a request may be as late as its answer. */
  static async open(url: string, init: RequestInit): Promise<EventListener> {
    const listener = new EventListener();
    await listener.#begin(url, init);
    return listener;
  }

  /** Sends the request and waits for nothing. */
  static begin(url: string, init: RequestInit): EventListener {
    const listener = new EventListener();
    listener.#begin(url, init).catch(() => listener.#end());
    return listener;
  }

  /** Waits until what was heard so far satisfies `holds`. */
  async until(holds: (messages: readonly JsonObject[]) => boolean, withinMs = 20_000): Promise<void> {
    const end = Date.now() + withinMs;
    while (!holds(this.messages)) {
      if (this.over || Date.now() > end)
        throw new Error(`${this.over ? 'it ended' : 'timed out'}: ${JSON.stringify(this.messages)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#waiting.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** The client hears no more, and the gate is told so by the end of the connection. */
  close(): void {
    this.#abort.abort();
  }

  async #begin(url: string, init: RequestInit): Promise<void> {
    const response = await fetch(url, { ...init, signal: this.#abort.signal });
    this.status = response.status;
    void this.#read(response);
  }

  async #read(response: Response): Promise<void> {
    const events = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
    let rest = '';
    try {
      for await (const chunk of response.body ?? []) {
        rest += Buffer.from(chunk).toString('utf8');
        if (!events) continue;
        const lines = rest.split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (/^data: ?./.test(line)) this.#heard(line.slice(5));
      }
      if (!events && rest.trim() !== '') this.#heard(rest);
    } catch {
      // Closed by us, or by the gate.
    }
    this.#end();
  }

  #end(): void {
    this.over = true;
    this.#wake();
  }

  #heard(text: string): void {
    this.messages.push(JSON.parse(text) as JsonObject);
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
    this.#waiting.clear();
  }
}
