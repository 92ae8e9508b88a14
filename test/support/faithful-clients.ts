// Clients without a library on each transport, for tests that compare what was sent with what came: one request at a time, and everything
// that came between the request and its answer.

import type { JsonObject } from '../../domain/json.ts';
import type { RunningCommand } from './cli.ts';
import { INITIALIZE, RawHttp, RawStdio } from './raw-mcp.ts';
import { WebSocketClient } from './web-socket-client.ts';

export interface Heard {
  readonly result?: JsonObject;
  readonly error?: JsonObject;
  /** Before the answer, in order. */
  readonly notifications: readonly JsonObject[];
}

export interface FaithfulClient {
  ask(method: string, params: JsonObject): Promise<Heard>;
  close(): Promise<void>;
}

export async function faithfulHttp(url: string): Promise<FaithfulClient> {
  const client = new RawHttp(url);
  await client.initialize();
  let id = 1_000;
  return {
    ask: async (method, params) => {
      id += 1;
      const { messages } = await client.post(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
      return sorted(messages as readonly JsonObject[]);
    },
    close: async () => {},
  };
}

export async function faithfulSocket(url: string): Promise<FaithfulClient> {
  const client = new WebSocketClient(url);
  await client.opened();
  let id = 0;
  const ask = async (method: string, params: JsonObject): Promise<Heard> => {
    id += 1;
    const from = client.received.length;
    client.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    const isAnswer = (text: string) => (JSON.parse(text) as JsonObject).id === id;
    const all = await client.until((received) => received.slice(from).some(isAnswer));
    return sorted(all.slice(from).map((text) => JSON.parse(text) as JsonObject));
  };
  await ask('initialize', INITIALIZE);
  client.send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }));
  return {
    ask,
    close: async () => {
      client.socket.close();
      await client.end();
    },
  };
}

export async function faithfulStdio(running: RunningCommand): Promise<FaithfulClient> {
  const client = new RawStdio(running);
  await client.initialize();
  return {
    ask: async (method, params) => {
      const from = client.notifications.length;
      const answer = (await client.ask(method, params)) as unknown as JsonObject;
      return sorted([...client.notifications.slice(from), answer]);
    },
    close: async () => {},
  };
}

function sorted(messages: readonly JsonObject[]): Heard {
  const answer = messages.find(({ method }) => method === undefined) ?? {};
  const { result, error } = answer as { result?: JsonObject; error?: JsonObject };
  const notifications = messages.filter(
    ({ method }) => method !== undefined && !String(method).endsWith('list_changed'),
  );
  return { notifications, ...(result === undefined ? {} : { result }), ...(error === undefined ? {} : { error }) };
}
