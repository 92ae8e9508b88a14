// How the operator of a machine reaches a gate that runs: a socket in the gate's own folder, which only the same user can open. One line of JSON
// goes in, one comes out. Whoever can open it could read the keys beside it; nobody else is asked who he is.

import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { JsonObject } from '../../domain/json.ts';
import { connectTo, firstLine, socketAddress } from './socket-address.ts';

const NAME = 'control.sock';
const LINE = { bytesMax: 64 * 1024, depthMax: 8, nodesMax: 1_000 };
const TIMEOUT_MS = 30_000;
const AT_ONCE_MAX = 16;

export interface ControlSocket {
  close(): Promise<void>;
}

/** Never rejects: what goes wrong is in the answer. */
export type Answering = (request: JsonObject) => Promise<JsonObject>;

/** Listens in a folder that this process alone works in: a socket that lies there is nobody's. Rejects when it cannot. */
export async function serveControl(folder: string, answer: Answering): Promise<ControlSocket> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    void firstLine(socket, LINE, TIMEOUT_MS)
      .then(answer, (error: Error) => ({ error: error.message }))
      .then((said) => {
        socket.end(`${JSON.stringify(said)}\n`);
        socket.resume();
      });
  });
  server.maxConnections = AT_ONCE_MAX;
  const { path, release } = socketAddress(folder, NAME);
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
  const socket = await connectTo(folder, NAME);
  try {
    socket.end(`${JSON.stringify(request)}\n`);
    return await firstLine(socket, LINE, TIMEOUT_MS);
  } finally {
    socket.destroy();
  }
}
