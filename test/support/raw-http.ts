// HTTP as bytes on a socket: what a library would never send, and what exactly came back.

import { connect, type Socket } from 'node:net';

export class RawConnection {
  readonly socket: Socket;
  received = '';
  closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.received += text;
    });
    socket.on('error', () => {});
    // The other side has closed; our own writing side may still be open.
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.closed = true;
      });
    }
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new RawConnection(socket);
  }

  send(text: string | Uint8Array): this {
    this.socket.write(text);
    return this;
  }

  /** Waits until the predicate holds for what was received, or the connection is closed. */
  async until(holds: (received: string) => boolean, timeoutMs = 20_000): Promise<string> {
    const end = Date.now() + timeoutMs;
    while (!holds(this.received) && !this.closed) {
      if (Date.now() > end) throw new Error(`timed out; received: ${JSON.stringify(this.received.slice(0, 500))}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return this.received;
  }

  /** The status of the first response. */
  async status(): Promise<number> {
    await this.until((received) => received.includes('\r\n\r\n'));
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(this.received)?.[1] ?? 0);
  }

  close(): void {
    this.socket.destroy();
  }
}

/** A request as text. A header given as undefined is left out. */
export function rawRequest(
  method: string,
  path: string,
  headers: Record<string, string | undefined>,
  body = '',
  version = '1.1',
): string {
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return `${[`${method} ${path} HTTP/${version}`, ...lines].join('\r\n')}\r\n\r\n${body}`;
}
