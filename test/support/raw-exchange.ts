// One request as bytes and what became of it: the status, the body, and whether the connection was closed.

import { RawConnection } from './raw-http.ts';

/** What comes before the response where a client waits to be told to go on. */
const GO_AHEAD = /^HTTP\/1\.1 100 [\s\S]*?\r\n\r\n/;

export interface Exchanged {
  /** Of the last response on the connection; 0 when there was none. */
  readonly status: number;
  readonly body: string;
  readonly closed: boolean;
}

export interface ExchangeOptions {
  /** Closes the writing side behind the request. */
  readonly end?: boolean;
  /** How long an answer may take before there counts as none. */
  readonly withinMs?: number;
}

/** Sends bytes on a connection of their own and waits for one whole response or the end of the connection. */
export async function exchange(
  port: number,
  bytes: string | Uint8Array,
  { end = false, withinMs = 10_000 }: ExchangeOptions = {},
): Promise<Exchanged> {
  const connection = await RawConnection.open(port);
  connection.send(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  if (end) connection.socket.end();
  await connection.until(isWhole, withinMs).catch(() => undefined);
  const { received, closed } = connection;
  connection.close();
  const last = received.replace(GO_AHEAD, '');
  const [head = '', ...rest] = last.split('\r\n\r\n');
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), body: rest.join('\r\n\r\n'), closed };
}

function isWhole(received: string): boolean {
  const last = received.replace(GO_AHEAD, '');
  const end = last.indexOf('\r\n\r\n');
  if (end === -1) return false;
  const head = last.slice(0, end).toLowerCase();
  const length = /content-length: (\d+)/.exec(head)?.[1];
  if (length !== undefined) return last.length >= end + 4 + Number(length);
  return head.includes('chunked') && last.endsWith('0\r\n\r\n');
}
