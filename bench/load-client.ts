// Two load clients with one face: they send an echo call and say whether its answer was right. They hold connections and nothing else:
// what is in flight, for how long and how fast is the closed loop's business.

import { connect, type Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { faultOf, messageIn } from './echo-check.ts';
import { HttpResponseReader } from './http-response.ts';
import { LineReader } from './line-reader.ts';

const PROTOCOL_VERSION = '2025-06-18'; // The newest that every target of the comparison speaks.
const INITIALIZE = {
  protocolVersion: PROTOCOL_VERSION,
  capabilities: {},
  clientInfo: { name: 'portcullis-bench', version: '1.0.0' },
};
const INITIALIZED = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });

export interface LoadClient {
  /** Readies this many lanes. Call it before each measurement: servers close connections that lay idle since the last one. */
  prepare(lanes: number): Promise<void>;
  /**
   * Sends one call on a lane. `done` hears undefined when the answer was right, else what was wrong with it. `meta` is JSON that goes along in
   * `_meta`.
   */
  call(lane: number, text: string, done: (fault: string | undefined) => void, meta?: string): void;
  close(): void;
}

function initializeRequest(id: number): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'initialize', params: INITIALIZE });
}

/** Texts are plain ASCII without quotes or backslashes, so they need no escaping: the client's own cost stays small. */
function echoRequest(id: number, text: string, meta?: string): string {
  const along = meta === undefined ? '' : `,"_meta":${meta}`;
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"echo","arguments":{"text":"${text}"}${along}}}`;
}

/** Speaks to a process over its standard input and output. Resolves once the session is initialized. */
export async function openStdio(input: Writable, output: Readable): Promise<LoadClient> {
  const waiting = new Map<number, (line: string) => void>();
  const ids = { last: 0 };
  const idOf = /"id":(\d+)/;
  const reader = new LineReader((line) => {
    // Look at both ends: a message of a megabyte must not be searched for its id, only parsed once.
    const id = Number((idOf.exec(line.slice(0, 100)) ?? idOf.exec(line.slice(-400)))?.[1]);
    const done = waiting.get(id);
    if (done === undefined) return; // A notification, or an answer to nothing: the call it should have answered times out.
    waiting.delete(id);
    done(line);
  });
  output.on('data', (chunk: Buffer) => reader.push(chunk));

  const request = (line: (id: number) => string, done: (answer: string, id: number) => void): void => {
    ids.last += 1;
    const id = ids.last;
    waiting.set(id, (answer) => done(answer, id));
    input.write(`${line(id)}\n`);
  };
  await new Promise<void>((resolve) => request(initializeRequest, () => resolve()));
  input.write(`${INITIALIZED}\n`);
  return {
    async prepare() {}, // One pipe is every lane.
    call(_lane, text, done, meta) {
      request(
        (id) => echoRequest(id, text, meta),
        (answer, id) => done(faultOf(answer, id, text)),
      );
    },
    close() {
      output.removeAllListeners('data');
      output.resume();
    },
  };
}

interface Exchange {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

/** One keep-alive connection with at most one request on it. */
class Lane {
  readonly #socket: Socket;
  #done: ((exchange: Exchange | string) => void) | undefined;

  /** Resolves when the connection is there, or has failed: then the first call on it says so. */
  readonly opened: Promise<void>;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.opened = new Promise((resolve) => {
      this.#socket.once('connect', resolve).once('close', () => resolve());
    });
    const reader = new HttpResponseReader((response) => this.#settle(response));
    this.#socket.on('data', (chunk) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.#settle(String(error));
      }
    });
    this.#socket.on('error', (error) => this.#settle(error.message));
    this.#socket.on('close', () => this.#settle('the connection was closed'));
  }

  send(head: string, body: string, done: (exchange: Exchange | string) => void): void {
    if (this.#socket.destroyed) {
      setImmediate(done, 'the connection was closed');
      return;
    }
    this.#done = done;
    this.#socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`, 'latin1');
  }

  close(): void {
    this.#socket.destroy();
  }

  #settle(exchange: Exchange | string): void {
    const done = this.#done;
    this.#done = undefined;
    done?.(exchange);
  }
}

/** Speaks Streamable HTTP to a loopback port, one connection a lane, all in one session, with a key where one is needed. Resolves once the session is initialized. */
export async function openHttp(port: number, path: string, key?: string): Promise<LoadClient> {
  const base =
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n` +
    'Accept: application/json, text/event-stream\r\n' +
    (key === undefined ? '' : `Authorization: Bearer ${key}\r\n`);
  const first = new Lane(port);
  const opened = await new Promise<Exchange | string>((resolve) => first.send(base, initializeRequest(1), resolve));
  if (typeof opened === 'string' || opened.status !== 200) {
    first.close();
    throw new Error(
      typeof opened === 'string' ? opened : `initialize was answered ${opened.status}: ${opened.body.slice(0, 200)}`,
    );
  }
  const session = /\r\nmcp-session-id: *([^\r]+)/i.exec(opened.headers)?.[1];
  const head =
    `${base}Mcp-Protocol-Version: ${PROTOCOL_VERSION}\r\n` +
    (session === undefined ? '' : `Mcp-Session-Id: ${session}\r\n`);
  await new Promise((resolve) => first.send(head, INITIALIZED, resolve));
  let connections = [first];
  const ids = { last: 1 };
  return {
    async prepare(lanes) {
      for (const connection of connections) connection.close();
      connections = Array.from({ length: lanes }, () => new Lane(port));
      await Promise.all(connections.map((connection) => connection.opened));
    },
    call(lane, text, done, meta) {
      ids.last += 1;
      const id = ids.last;
      connections[lane % connections.length]?.send(head, echoRequest(id, text, meta), (exchange) => {
        if (typeof exchange === 'string') done(exchange);
        else if (exchange.status !== 200) done(`HTTP ${exchange.status}: ${exchange.body.slice(0, 200)}`);
        else done(faultOf(messageIn(exchange.body, isEventStream(exchange.headers), id), id, text));
      });
    },
    close() {
      for (const connection of connections) connection.close();
    },
  };
}

function isEventStream(headers: string): boolean {
  return /\r\ncontent-type: *text\/event-stream/i.test(headers);
}
