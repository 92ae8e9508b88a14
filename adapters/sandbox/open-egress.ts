// One connection out of a sandbox, from the moment it is there: its bytes, its time, and its one end, which is told exactly once.

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { EgressLimits } from './egress-limits.ts';
import type { EgressClosing, EgressEnd } from './ports.ts';

export class OpenEgress {
  /** It is connected already. */
  readonly socket: Socket;
  readonly #connection: string;
  readonly #onEnd: (closing: EgressClosing) => void;
  readonly #since = performance.now();
  readonly #life: NodeJS.Timeout;
  #inner: Duplex | undefined;
  #isOpen = true;

  constructor(connection: string, socket: Socket, limits: EgressLimits, onEnd: (closing: EgressClosing) => void) {
    this.#connection = connection;
    this.socket = socket;
    this.#onEnd = onEnd;
    this.#life = setTimeout(() => this.end('too_long'), limits.lifeMs).unref();
    socket.setTimeout(limits.idleMs, () => this.end('idle'));
    socket.on('error', () => this.end('lost'));
    socket.on('close', () => this.end('ended'));
    const check = () => {
      if (socket.bytesRead + socket.bytesWritten > limits.bytesMax) this.end('too_large');
    };
    socket.on('data', check);
    socket.on('drain', check);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Passes on what either side says, until both have ended. */
  relay(inner: Duplex): void {
    const { socket } = this;
    this.#inner = inner;
    inner.on('close', () => this.end(inner.readableEnded ? 'ended' : 'lost'));
    socket.pipe(inner);
    inner.pipe(socket);
  }

  /** The first end is the one that counts. */
  end(end: EgressEnd): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#life);
    const { socket } = this;
    this.#onEnd({
      connection: this.#connection,
      end,
      sent: socket.bytesWritten,
      received: socket.bytesRead,
      ms: Math.round(performance.now() - this.#since),
    });
    socket.destroy();
    // What was said last is still on its way to the server.
    if (end === 'ended') this.#inner?.end();
    else this.#inner?.destroy();
  }
}
