// A socket whose incoming bytes are looked at, and may be taken out, before its reader gets them. What is written passes as it is, in the tick
// in which it is written.

import { Duplex } from 'node:stream';

export class WatchedSocket extends Duplex {
  readonly #socket: Duplex;

  /** `watch` is given each chunk, and hands on what the reader is to get. */
  constructor(socket: Duplex, watch: (chunk: Buffer, handOn: (bytes: Buffer) => void) => void) {
    super();
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      let wantsMore = true;
      watch(chunk, (bytes) => {
        wantsMore = this.push(bytes);
      });
      if (!wantsMore) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    socket.pause();
  }

  /** What waits to leave, here and in the socket. */
  get bytesWaiting(): number {
    return this.writableLength + this.#socket.writableLength;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, taken: (error?: Error | null) => void): void {
    if (this.#socket.write(chunk, encoding)) taken();
    else this.#socket.once('drain', () => taken());
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], taken: (error?: Error | null) => void): void {
    this.#socket.cork();
    let room = true;
    for (const { chunk, encoding } of chunks) room = this.#socket.write(chunk, encoding);
    this.#socket.uncork();
    if (room) taken();
    else this.#socket.once('drain', () => taken());
  }

  override _final(ended: (error?: Error | null) => void): void {
    this.#socket.end(() => ended());
  }

  override _destroy(error: Error | null, destroyed: (error: Error | null) => void): void {
    this.#socket.destroy();
    destroyed(error);
  }
}
