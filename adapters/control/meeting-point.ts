// Where clients that are configured one by one meet the one gate that they share: a socket that only the same user can open. Whoever comes says in one line
// what he needs and is answered in one; after that the socket is his conversation. What is said in it is not looked at here.

import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { JsonObject } from '../../domain/json.ts';
import { connectTo, firstLine, socketAddress } from './socket-address.ts';

export const GATE_SOCKET = 'gate.sock';
/** With all variables that a system lets a process have, as JSON writes them. */
const REQUEST = { bytesMax: 16 * 1024 * 1024, depthMax: 8, nodesMax: 500_000 };
const ANSWER = { bytesMax: 1024 * 1024, depthMax: 8, nodesMax: 10_000 };
const REQUEST_WITHIN_MS = 10_000;
/** Longer than a gate waits for a server that starts. */
const ANSWER_WITHIN_MS = 60_000;
const VISITORS_MAX = 256;

export interface Visitor {
  readonly request: JsonObject;
  readonly socket: Socket;
  /** Says what comes of it. Where that is nothing, it is the last thing said. */
  answer(said: JsonObject, last?: 'last'): void;
}

export interface MeetingPoint {
  /** Nobody comes any more; whoever is there stays. More often does nothing. */
  close(): void;
}

/** Listens in a folder. The caller alone may do so at a time: a socket that lies there is nobody's. Rejects when it cannot. */
export async function openMeetingPoint(folder: string, onVisitor: (visitor: Visitor) => void): Promise<MeetingPoint> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    const answer = (said: JsonObject, last?: 'last'): void => {
      socket.write(`${JSON.stringify(said)}\n`);
      if (last === undefined) return;
      socket.end();
      socket.resume();
    };
    void firstLine(socket, REQUEST, REQUEST_WITHIN_MS).then(
      (request) => onVisitor({ request, socket, answer }),
      (error: Error) => answer({ error: error.message }, 'last'),
    );
  });
  server.maxConnections = VISITORS_MAX;
  const { path, release } = socketAddress(folder, GATE_SOCKET);
  const file = join(folder, GATE_SOCKET);
  rmSync(file, { force: true });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    chmodSync(file, 0o600);
  } catch (error) {
    release();
    throw error;
  }
  let open = true;
  return {
    close: () => {
      if (!open) return;
      open = false;
      // The file goes with it, while it is still ours.
      server.close(() => release());
    },
  };
}

/** Comes to the meeting point. Rejects with `NobodyThere` where there is none, or it went in the meantime. */
export async function meet(
  folder: string,
  request: JsonObject,
): Promise<{ readonly said: JsonObject; readonly socket: Socket }> {
  const socket = await connectTo(folder, GATE_SOCKET);
  socket.write(`${JSON.stringify(request)}\n`);
  try {
    return { said: await firstLine(socket, ANSWER, ANSWER_WITHIN_MS), socket };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
