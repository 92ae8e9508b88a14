// Where a browser comes back to after its user has consented: a free port of this machine, for one answer (RFC 8252). The answer counts only
// at the exact address, with our state, once. Everything else is turned away and waited out, so that a web page cannot end a login.

import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AuthorizationRefused } from './refusal.ts';

const PATH = '/callback';
const REQUEST_MS = 5_000;
const CONNECTIONS_MAX = 16;
const HEADERS = {
  'content-type': 'text/plain; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  connection: 'close',
} as const;

export interface RedirectListener {
  /** What the authorization server is told, and compares exactly. */
  readonly redirectUri: string;
  /** The parameters of the one answer. Rejects when none came in time, or the signal was given. */
  answer(state: string, timeoutMs: number, signal?: AbortSignal): Promise<URLSearchParams>;
  close(): void;
}

export async function listenForRedirect(): Promise<RedirectListener> {
  let expected: string | undefined;
  let deliver: (answer: URLSearchParams) => void = () => undefined;
  let redirectUri = '';
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
    const answer = expected === undefined ? undefined : answerIn(request, redirectUri, expected);
    if (answer === undefined) return say(response, 400, 'This is not the answer that portcullis waits for.');
    expected = undefined;
    say(response, 200, 'portcullis has its answer. You may close this window.');
    deliver(answer);
  });
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  // The address is a socket's: it was just bound to a port.
  redirectUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}${PATH}`;
  return {
    redirectUri,
    answer: (state, timeoutMs, signal) =>
      new Promise((resolve, reject) => {
        const end = (why: string) => {
          expected = undefined;
          clearTimeout(timer);
          reject(new AuthorizationRefused(why));
        };
        const timer = setTimeout(() => end(`nobody consented within ${Math.round(timeoutMs / 1000)} s`), timeoutMs);
        signal?.addEventListener('abort', () => end('it was stopped'), { once: true });
        if (signal?.aborted === true) return end('it was stopped');
        expected = state;
        deliver = (answer) => {
          clearTimeout(timer);
          resolve(answer);
        };
      }),
    close: () => {
      server.close();
      server.closeIdleConnections();
    },
  };
}

/** The parameters, if this request is the answer to `state`. */
function answerIn(request: IncomingMessage, redirectUri: string, state: string): URLSearchParams | undefined {
  const { host } = new URL(redirectUri);
  // A page of another origin that reaches this port by a name of its own says so here.
  if (request.method !== 'GET' || request.headers.host !== host) return undefined;
  const target = request.url ?? '';
  if (!target.startsWith(`${PATH}?`)) return undefined;
  const parameters = new URL(target, redirectUri).searchParams;
  for (const name of parameters.keys()) if (parameters.getAll(name).length !== 1) return undefined;
  return isSame(parameters.get('state') ?? '', state) ? parameters : undefined;
}

function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}

function say(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, HEADERS).end(`${text}\n`);
}
