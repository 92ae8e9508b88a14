// How the operator of a machine reaches a gate that runs: a socket in the gate's own folder, which only the same user can open. One line of JSON
// goes in, one comes out. Whoever can open it could read the keys beside it; nobody else is asked who he is.

import { chmodSync, closeSync, constants, openSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';

const NAME = 'control.sock';
/** `sun_path` holds 108 bytes on Linux and 104 elsewhere. */
const PATH_BYTES_MAX = 100;
const LINE = { bytesMax: 64 * 1024, depthMax: 8, nodesMax: 1_000 };
const TIMEOUT_MS = 30_000;
const AT_ONCE_MAX = 16;

export interface ControlSocket {
  close(): Promise<void>;
}

/** Never rejects: what goes wrong is in the answer. */
export type Answering = (request: JsonObject) => Promise<JsonObject>;

/** No gate answers there. */
export class NobodyThere extends Error {
  override readonly name = 'NobodyThere';
}

/** Listens in a folder that this process alone works in: a socket that lies there is nobody's. Rejects when it cannot. */
export async function serveControl(folder: string, answer: Answering): Promise<ControlSocket> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    void readLine(socket).then(
      async (request) => socket.end(`${JSON.stringify(await answer(request))}\n`),
      (error: Error) => socket.end(`${JSON.stringify({ error: error.message })}\n`),
    );
  });
  server.maxConnections = AT_ONCE_MAX;
  const { path, release } = addressIn(folder);
  rmSync(join(folder, NAME), { force: true });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    chmodSync(join(folder, NAME), 0o600);
  } catch (error) {
    release();
    throw error;
  }
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      for (const socket of sockets) socket.destroy();
      await closed;
      release();
    },
  };
}

/** Asks the gate of a folder. Rejects with `NobodyThere` when none runs. */
export async function askControl(folder: string, request: JsonObject): Promise<JsonObject> {
  const { path, release } = addressIn(folder);
  try {
    const socket = await new Promise<Socket>((resolve, reject) => {
      const trying = connect({ path, allowHalfOpen: true }, () => resolve(trying));
      trying.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? new NobodyThere('no gate runs there') : error,
        ),
      );
    });
    socket.on('error', () => socket.destroy());
    socket.end(`${JSON.stringify(request)}\n`);
    return await readLine(socket);
  } finally {
    release();
  }
}

/** One line, strictly read. Rejects when it does not come, or is none. */
function readLine(socket: Socket): Promise<JsonObject> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const fail = (why: string): void => reject(new Error(why));
    socket.setTimeout(TIMEOUT_MS, () => {
      fail('nothing came in time');
      socket.destroy();
    });
    for (const over of ['end', 'close']) socket.on(over, () => fail('it ended before it had said a line'));
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes > LINE.bytesMax) {
        fail('it said too much');
        socket.destroy();
        return;
      }
      chunks.push(chunk);
      const at = chunk.indexOf(0x0a);
      if (at < 0) return;
      socket.setTimeout(0);
      const all = Buffer.concat(chunks);
      const parsed = parseStrictJson(all.subarray(0, all.byteLength - chunk.byteLength + at), LINE);
      if (parsed.ok && isJsonObject(parsed.value)) resolve(parsed.value);
      else fail('not a JSON object');
    });
  });
}

/** Where the socket of a folder is reached. A path that is too long for an address is gone through an open folder. */
function addressIn(folder: string): { readonly path: string; readonly release: () => void } {
  const path = join(folder, NAME);
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX || process.platform !== 'linux') return { path, release: () => {} };
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${fd}/${NAME}`, release: () => closeSync(fd) };
}
