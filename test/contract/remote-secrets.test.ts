// A server that says back to us what we said to be let in: nobody behind us hears of it, in whatever part of the protocol it is said.

import { afterEach, describe, expect, it } from 'vitest';
import type { Connection } from '../../adapters/upstream/connection.ts';
import { QUIET } from '../support/hooks.ts';
import {
  type Plan,
  RemoteFixture,
  type RemoteOptions,
  remoteConnection,
  WAYS,
  type Way,
} from '../support/remote-servers.ts';
import { callOf, textOf } from './tool-server.contract.ts';

const undo: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});

const SECRET = 'canary-c0ffee-and-nobody-else';
const headers = { Authorization: { fromEnv: 'TOKEN', prefix: 'Bearer ' } };
const said: unknown[] = [];

async function connected(way: Way, options: RemoteOptions): Promise<Connection> {
  said.length = 0;
  const server = await RemoteFixture.start(options);
  undo.push(() => server.stop());
  const connection = remoteConnection(
    way,
    { url: server.url(way), headers },
    {
      ourEnvironment: { TOKEN: SECRET },
      listener: {
        onAuthorization: (detail) => said.push(detail),
        onEnded: (detail) => said.push(detail),
        onRefusedRequest: (request) => said.push(request),
      },
    },
  );
  connection.onNotice((notice) => said.push(notice));
  undo.push(() => connection.stop());
  return connection;
}

async function look(connection: Connection) {
  const hooks = {
    ...QUIET,
    onProgress: (params: unknown) => said.push(params),
    onLog: (params: unknown) => said.push(params),
  };
  const answer = await connection.dispatch(callOf('look', {}), hooks).answer;
  said.push(answer);
  return answer;
}

const echoed: Plan = (_call, _say, { headers: heard }) => ({
  result: { content: [{ type: 'text', text: JSON.stringify(heard) }] },
});

describe.each(WAYS)('what a server repeats over %s', (way) => {
  it.each<[string, Plan]>([
    ['in a result', echoed],
    [
      'in an error',
      (_call, _say, { headers: heard }) => ({ error: { code: -1, message: String(heard.authorization) } }),
    ],
    ['in the data of an error', () => ({ error: { code: -1, message: 'no', data: { token: SECRET } } })],
    ['in structured content', () => ({ result: { content: [], structuredContent: { [SECRET]: true } } })],
    ['in _meta', () => ({ result: { content: [], _meta: { seen: [SECRET] } } })],
  ])('%s makes the answer unfit, and the next one is heard', async (_where, plan) => {
    let calls = 0;
    const connection = await connected(way, {
      plan: (...all) => (++calls === 1 ? plan(...all) : { result: { content: [{ type: 'text', text: 'seen' }] } }),
    });
    await connection.start();
    expect(await look(connection)).toMatchObject({
      kind: 'refused',
      code: 'OUTPUT_INVALID',
      detail: 'it wrote a message that repeats our credential',
    });
    expect(textOf(await look(connection))).toBe('seen');
    expect(JSON.stringify(said)).not.toContain(SECRET);
  });

  it('in a notification or a question is dropped', async () => {
    const connection = await connected(way, {
      plan: (_call, say) => {
        say({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: SECRET } });
        say({ jsonrpc: '2.0', id: 7, method: 'elicitation/create', params: { message: SECRET } });
        return { result: { content: [{ type: 'text', text: 'seen' }] } };
      },
    });
    await connection.start();
    expect(textOf(await look(connection))).toBe('seen');
    expect(connection.dropped?.notifications).toBe(2);
    expect(JSON.stringify(said)).not.toContain(SECRET);
  });
});

describe('a server that ends a WebSocket', () => {
  it('with what it heard is quoted without it', async () => {
    const connection = await connected('ws', {
      onSocket: (socket, { headers: heard }) => socket.close(4000, String(heard.authorization)),
    });
    const why = await connection.start().catch((error: Error) => `${error.message} ${error.cause}`);
    expect(why).toContain('Bearer [our credential]');
    expect(`${why}${JSON.stringify(said)}`).not.toContain(SECRET);
  });
});

describe('a server that turns us away', () => {
  it.each<[string, RemoteOptions['instead']]>([
    [
      'with a media type',
      (_request, response) => Boolean(response.writeHead(200, { 'content-type': `x/${SECRET}` }).end()),
    ],
    [
      'with a challenge',
      (_request, response) =>
        Boolean(
          response.writeHead(403, { 'www-authenticate': `Bearer error="insufficient_scope", scope="${SECRET}"` }).end(),
        ),
    ],
    [
      'with an address',
      (_request, response) => Boolean(response.writeHead(307, { location: `https://${SECRET}/` }).end()),
    ],
    ['with a page', (_request, response) => Boolean(response.writeHead(500, SECRET).end(SECRET))],
    [
      'with something that is no JSON',
      (_request, response) =>
        Boolean(response.writeHead(200, { 'content-type': 'application/json' }).end(`<b>${SECRET}</b>`)),
    ],
  ])('%s is quoted without what it repeats', async (_how, instead) => {
    for (const way of WAYS) {
      const connection = await connected(way, instead === undefined ? {} : { instead });
      const why = await connection.start().catch((error: Error) => `${error.message} ${error.cause}`);
      expect(why).toMatch(/not available/);
      expect(`${why}${JSON.stringify(said)}`).not.toContain(SECRET);
    }
  });
});
