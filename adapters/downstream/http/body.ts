// One request body, bounded in bytes and in time. It is collected and nothing else: no decoding, no parsing.

import type { IncomingMessage } from 'node:http';

export type Body =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  | { readonly kind: 'too_large'; readonly bytes: number }
  | { readonly kind: 'too_slow' }
  /** The client went away before the end: there is nobody to answer. */
  | { readonly kind: 'aborted' };

/** The body if all of it is here already, as when it came in one packet with its head: no listeners, no timer, no waiting. */
export function bodyAtHand(request: IncomingMessage, bytesMax: number): Body | undefined {
  if (!request.complete || request.destroyed) return undefined;
  const bytes = (request.read() as Buffer | null) ?? Buffer.alloc(0); // No encoding was set, so it is a buffer.
  return bytes.length > bytesMax ? { kind: 'too_large', bytes: bytes.length } : { kind: 'whole', bytes };
}

/** Never rejects. After `too_large` and `too_slow` the rest of the body is still to come: see `discardBody`. */
export function readBody(request: IncomingMessage, bytesMax: number, timeoutMs: number): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (body: Body): void => {
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone);
      resolve(body);
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > bytesMax) settle({ kind: 'too_large', bytes });
      else chunks.push(chunk);
    };
    const onEnd = (): void => {
      const [only] = chunks;
      settle({ kind: 'whole', bytes: chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, bytes) });
    };
    const onGone = (): void => settle({ kind: 'aborted' });
    const timer = setTimeout(() => settle({ kind: 'too_slow' }), timeoutMs);
    request.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
    if (request.destroyed) onGone();
  });
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
