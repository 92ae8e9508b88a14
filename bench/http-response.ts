// Reads HTTP/1.1 responses off one keep-alive connection: Content-Length, chunked, or no body. One response at a time, no pipelining.
// It is the load client's own because Node's HTTP client costs more than the relays it would have to measure.

const HEADER_END = Buffer.from('\r\n\r\n');

export interface HttpResponse {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

type Awaited = 'headers' | 'body' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailer';

export class HttpResponseReader {
  readonly #onResponse: (response: HttpResponse) => void;
  #unread: Buffer = Buffer.alloc(0);
  #awaited: Awaited = 'headers';
  #missing = 0;
  #status = 0;
  #headers = '';
  #body: Buffer[] = [];

  constructor(onResponse: (response: HttpResponse) => void) {
    this.#onResponse = onResponse;
  }

  /** Throws on what is not HTTP/1.1. */
  push(chunk: Buffer): void {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    while (this.#step()) {
      // Each step consumes one part of the response.
    }
  }

  #step(): boolean {
    switch (this.#awaited) {
      case 'headers':
        return this.#readHeaders();
      case 'body':
        return this.#take('headers') && this.#finish();
      case 'chunk-size':
        return this.#readChunkSize();
      case 'chunk':
        return this.#take('chunk-end');
      case 'chunk-end':
        return this.#readLine() !== undefined && this.#await('chunk-size');
      case 'trailer': {
        const line = this.#readLine();
        if (line === undefined) return false;
        return line === '' ? this.#finish() : true;
      }
    }
  }

  #readHeaders(): boolean {
    const end = this.#unread.indexOf(HEADER_END);
    if (end === -1) return false;
    this.#headers = this.#unread.toString('latin1', 0, end);
    this.#unread = this.#unread.subarray(end + HEADER_END.length);
    const status = /^HTTP\/1\.1 (\d{3})/.exec(this.#headers)?.[1];
    if (status === undefined) throw new Error(`not an HTTP/1.1 response: ${this.#headers.slice(0, 80)}`);
    this.#status = Number(status);
    if (/\r\ntransfer-encoding: *chunked/i.test(this.#headers)) return this.#await('chunk-size');
    this.#missing = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#headers)?.[1] ?? 0);
    return this.#await('body');
  }

  #readChunkSize(): boolean {
    const line = this.#readLine();
    if (line === undefined) return false;
    this.#missing = Number.parseInt(line, 16);
    if (Number.isNaN(this.#missing)) throw new Error(`not a chunk size: ${line.slice(0, 80)}`);
    return this.#await(this.#missing === 0 ? 'trailer' : 'chunk');
  }

  /** Moves what has arrived of the awaited bytes; true once all of them have. Never copies a body twice. */
  #take(next: Awaited): boolean {
    const taken = this.#unread.subarray(0, this.#missing);
    this.#body.push(taken);
    this.#missing -= taken.length;
    this.#unread = this.#unread.subarray(taken.length);
    return this.#missing === 0 && this.#await(next);
  }

  #readLine(): string | undefined {
    const end = this.#unread.indexOf('\r\n');
    if (end === -1) return undefined;
    const line = this.#unread.toString('latin1', 0, end);
    this.#unread = this.#unread.subarray(end + 2);
    return line;
  }

  #finish(): boolean {
    const first = this.#body[0];
    const body = this.#body.length === 1 && first !== undefined ? first : Buffer.concat(this.#body);
    this.#body = [];
    this.#awaited = 'headers';
    this.#onResponse({ status: this.#status, headers: this.#headers, body: body.toString('utf8') });
    return this.#unread.length > 0;
  }

  #await(next: Awaited): true {
    this.#awaited = next;
    return true;
  }
}
