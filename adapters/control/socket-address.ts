// Where a socket of ours lies, and what is said on it first: one line of JSON. Only the same user can open the folder.

import { closeSync, constants, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { type JsonLimits, parseStrictJson } from '../../domain/strict-json.ts';

/** `sun_path` holds 108 bytes on Linux and 104 elsewhere. */
const PATH_BYTES_MAX = 100;

/** No gate answers there. */
export class NobodyThere extends Error {
  override readonly name = 'NobodyThere';
}

export interface SocketAddress {
  readonly path: string;
  readonly release: () => void;
}

/** Where a socket of a folder is reached. A path that is too long for an address is gone through an open folder. */
export function socketAddress(folder: string, name: string): SocketAddress {
  const path = join(folder, name);
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX || process.platform !== 'linux') return { path, release: () => {} };
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${fd}/${name}`, release: () => closeSync(fd) };
}

/** Rejects with `NobodyThere` when nobody listens. What goes wrong later destroys the socket. */
export async function connectTo(folder: string, name: string): Promise<Socket> {
  let address: SocketAddress;
  try {
    address = socketAddress(folder, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new NobodyThere('there is no such folder');
    throw error;
  }
  try {
    const socket = await new Promise<Socket>((resolve, reject) => {
      const trying = connect({ path: address.path, allowHalfOpen: true }, () => resolve(trying));
      trying.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? new NobodyThere('no gate runs there') : error,
        ),
      );
    });
    socket.on('error', () => socket.destroy());
    return socket;
  } finally {
    address.release();
  }
}

/** One line, strictly read; what comes behind it stays in the socket. Rejects when it does not come, or is none. */
export function firstLine(socket: Socket, limits: JsonLimits, withinMs: number): Promise<JsonObject> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const over = (): void => fail('it ended before it had said a line');
    const release = (): void => {
      socket.setTimeout(0);
      socket.off('timeout', late).off('end', over).off('close', over).off('data', onData);
      socket.pause();
    };
    const fail = (why: string): void => {
      release();
      reject(new Error(why));
    };
    const late = (): void => {
      fail('nothing came in time');
      socket.destroy();
    };
    const onData = (chunk: Buffer): void => {
      const at = chunk.indexOf(0x0a);
      const part = at < 0 ? chunk : chunk.subarray(0, at);
      bytes += part.byteLength;
      if (bytes > limits.bytesMax) {
        fail('it said too much');
        socket.destroy();
        return;
      }
      chunks.push(part);
      if (at < 0) return;
      release();
      if (at + 1 < chunk.byteLength) socket.unshift(chunk.subarray(at + 1));
      const parsed = parseStrictJson(Buffer.concat(chunks), limits);
      if (parsed.ok && isJsonObject(parsed.value)) resolve(parsed.value);
      else reject(new Error('not a JSON object'));
    };
    socket.setTimeout(withinMs, late);
    socket.on('end', over).on('close', over).on('data', onData);
    socket.resume();
  });
}
