// Request bodies, bounded in bytes and in time, each and together. They are collected and nothing else: no decoding, no parsing.

import type { IncomingMessage } from 'node:http';

export type Body =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  | { readonly kind: 'too_large'; readonly bytes: number }
  | { readonly kind: 'too_slow' }
  /** It was coming in for longest when there was no room for all that came. */
  | { readonly kind: 'crowded_out' }
  /** The client went away before the end, or what it sent was no body: there is nobody to answer. */
  | { readonly kind: 'broken_off' };

/** The body if all of it is here already, as when it came in one packet with its head: no listeners, no timer, no waiting. */
export function bodyAtHand(request: IncomingMessage, bytesMax: number): Body | undefined {
  if (!request.complete || request.destroyed) return undefined;
  const bytes = (request.read() as Buffer | null) ?? Buffer.alloc(0); // No encoding was set, so it is a buffer.
  return bytes.length > bytesMax ? { kind: 'too_large', bytes: bytes.length } : { kind: 'whole', bytes };
}

/**
 * The bodies that are coming in, together bounded in bytes: many that each stay just under their own bounds must not fill the memory. The one
 * that has been coming in for longest makes room, so that whoever holds bodies back cannot keep out those who send theirs.
 */
export class IncomingBodies {
  readonly #bytesMax: number;
  #bytes = 0;
  /** Oldest first. */
  readonly #coming = new Set<() => void>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Never rejects. After anything but `whole` and `broken_off` the rest of the body is still to come: see `discardBody`. */
  read(request: IncomingMessage, bytesMax: number, timeoutMs: number): Promise<Body> {
    return new Promise((resolve) => {
      // In one piece, grown by doubling: a body in chunks of a byte must not cost a hundred times its size.
      let held: Buffer | undefined;
      let bytes = 0;
      const settle = (body: Body): void => {
        if (!this.#coming.delete(crowdOut)) return;
        this.#bytes -= bytes;
        clearTimeout(timer);
        request.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone);
        resolve(body);
      };
      const crowdOut = (): void => settle({ kind: 'crowded_out' });
      const onData = (chunk: Buffer): void => {
        const before = bytes;
        bytes += chunk.length;
        this.#bytes += chunk.length;
        if (bytes > bytesMax) return settle({ kind: 'too_large', bytes });
        held = held === undefined ? chunk : appended(held, before, chunk, bytesMax);
        this.#makeRoom();
      };
      const onEnd = (): void => {
        settle({ kind: 'whole', bytes: held?.subarray(0, bytes) ?? Buffer.alloc(0) });
      };
      const onGone = (): void => settle({ kind: 'broken_off' });
      const timer = setTimeout(() => settle({ kind: 'too_slow' }), timeoutMs);
      this.#coming.add(crowdOut);
      request.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
      if (request.destroyed) onGone();
    });
  }

  #makeRoom(): void {
    for (const crowdOut of this.#coming) {
      if (this.#bytes <= this.#bytesMax) return;
      crowdOut();
    }
  }
}

/** The first `used` bytes of a buffer with a chunk behind them. */
function appended(held: Buffer, used: number, chunk: Buffer, bytesMax: number): Buffer {
  const needed = used + chunk.length;
  let room = held;
  if (needed > held.length) {
    room = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(2 * needed, bytesMax)));
    held.copy(room, 0, 0, used);
  }
  chunk.copy(room, used);
  return room;
}

/**
 * Reads on without keeping anything, so that a client which is still sending hears the answer instead of a broken connection, up to
 * `bytesMax`. How long that may take is bounded by the server's request timeout.
 */
export function discardBody(request: IncomingMessage, bytesMax: number): void {
  if (request.complete || request.destroyed) return;
  let bytes = 0;
  request.on('error', () => {});
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > bytesMax) request.socket.destroy();
  });
  request.resume();
}
