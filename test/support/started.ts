// What tests of protected servers do with a connection: wait until it has its token, and make a call.

import { expect } from 'vitest';
import type { Connection } from '../../adapters/upstream/connection.ts';
import { PLAIN_MANNER, type ToolAnswer } from '../../proxy/tool-server.ts';
import { QUIET } from './hooks.ts';

/** A server of which nobody said that it is protected turns the first message away, and takes the next. */
export async function up(connection: Connection): Promise<Connection> {
  const started = () =>
    connection.start().then(
      () => true,
      () => false,
    );
  await expect.poll(started, { timeout: 15_000, interval: 20 }).toBe(true);
  return connection;
}

export function callEcho(connection: Connection): Promise<ToolAnswer> {
  const body = '{"arguments":{},"name":"echo"}';
  const dispatch = { method: 'tools/call', meta: {}, body, outputBytesMax: 10_000, manner: PLAIN_MANNER };
  return connection.dispatch(dispatch, QUIET).answer;
}
