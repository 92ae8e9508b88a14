// One request as bytes and what became of it: the status, the body, and whether the connection was closed.

import { RawConnection } from './raw-http.ts';

/** What comes before the response where a client waits to be told to go on. */
const GO_AHEAD = /^HTTP\/1\.1 100 [\s\S]*?\r\n\r\n/;

export interface Exchanged {
  /** Of the first response on the connection; 0 when there was none. */
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
  const response = received.replace(GO_AHEAD, '');
  const split = response.indexOf('\r\n\r\n');
  const head = split === -1 ? response : response.slice(0, split);
  const rest = split === -1 ? '' : response.slice(split + 4);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0);
  const isBodiless = status === 204 || Buffer.from(bytes).subarray(0, 5).toString() === 'HEAD ';
  return { status, body: isBodiless ? '' : bodyOf(head, rest), closed };
}

/** The body alone: a request that was cut wrong may be followed by an answer to its rest. */
function bodyOf(head: string, rest: string): string {
  const length = /^content-length: (\d+)/im.exec(head)?.[1];
  if (length !== undefined) return rest.slice(0, Number(length));
  if (!/^transfer-encoding: chunked/im.test(head)) return rest;
  let body = '';
  for (let left = rest; ; ) {
    const size = /^([0-9a-f]+)\r\n/i.exec(left);
    const bytes = Number.parseInt(size?.[1] ?? '0', 16);
    if (size === null || bytes === 0) return body;
    body += left.slice(size[0].length, size[0].length + bytes);
    left = left.slice(size[0].length + bytes + 2);
  }
}

function isWhole(received: string): boolean {
  const response = received.replace(GO_AHEAD, '');
  const end = response.indexOf('\r\n\r\n');
  if (end === -1) return false;
  const head = response.slice(0, end);
  const length = /^content-length: (\d+)/im.exec(head)?.[1];
  if (length !== undefined) return response.length >= end + 4 + Number(length);
  return /^transfer-encoding: chunked/im.test(head) && response.endsWith('0\r\n\r\n');
}
