// A line between two processes that the test can cut, hold up and mend: what comes in at one port goes out to another, while the line is whole.

import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class TcpLine {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #state: 'whole' | 'held' | 'cut' = 'whole';
  /** Where it leads to. */
  to = 0;

  constructor() {
    this.#server = createServer((near) => {
      if (this.#state === 'cut') return void near.destroy();
      const far = connect({ port: this.to, host: '127.0.0.1', noDelay: true });
      near.setNoDelay();
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.on('error', () => undefined);
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        from.on('data', (chunk) => to.write(chunk));
        if (this.#state === 'held') from.pause();
      }
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  /** The connections end, and no other is made. */
  cut(): void {
    this.#state = 'cut';
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Nothing passes; nobody is told. */
  hold(): void {
    this.#state = 'held';
    for (const socket of this.#sockets) socket.pause();
  }

  mend(): void {
    this.#state = 'whole';
    for (const socket of this.#sockets) socket.resume();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
