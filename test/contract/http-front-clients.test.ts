// The HTTP front as the official client libraries see it, of the older line and of the newer one.

import { Client as NewerClient, StreamableHTTPClientTransport as NewerTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, expect, it } from 'vitest';
import type { HttpAccess } from '../../adapters/downstream/http/access.ts';
import { type HttpFront, listenHttp } from '../../adapters/downstream/http/http-front.ts';
import { deny } from '../../domain/denial.ts';
import { EchoSessions } from '../support/echo-sessions.ts';

const LOCAL = { agent: 'local', roles: [], root: true, authentication: 'local', connection: 'sha256:l' } as const;

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(
  access: HttpAccess = { kind: 'local', principal: LOCAL },
): Promise<{ front: HttpFront; sessions: EchoSessions }> {
  const sessions = new EchoSessions();
  const result = await listenHttp({ host: '127.0.0.1', port: 0, sessions, access, limits: { drainMs: 100 } });
  if (!result.ok) throw new Error(result.problem);
  const { front } = result;
  cleanups.push(() => front.close());
  return { front, sessions };
}

async function connect(front: HttpFront, headers: Record<string, string> = {}) {
  const client = new Client({ name: 'test', version: '0' });
  const transport = new StreamableHTTPClientTransport(new URL(front.url), { requestInit: { headers } });
  await client.connect(transport as Parameters<Client['connect']>[0]);
  cleanups.push(() => client.close());
  return { client, transport };
}

describe('the older client library', () => {
  it('is refused without a credential and served with one', async () => {
    const authenticate = async ({ authorization }: { authorization: string | undefined }) =>
      authorization === 'Bearer good' ? LOCAL : deny('ID_UNAUTHENTICATED');
    const { front } = await start({ kind: 'authenticated', authenticator: { authenticate } });
    await expect(connect(front)).rejects.toThrow(/401|not authenticated/);
    const { client } = await connect(front, { authorization: 'Bearer good' });
    expect((await client.listTools()).tools).toHaveLength(1);
  });

  it('calls tools, many at once, each with its own answer', async () => {
    const { front } = await start();
    const { client } = await connect(front);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => client.callTool({ name: 'echo', arguments: { index } })),
    );
    expect(answers.map(({ content }) => content)).toEqual(
      Array.from({ length: 50 }, (_, index) => [{ type: 'text', text: JSON.stringify({ index }) }]),
    );
  });

  it('hears of progress before the answer', async () => {
    const { front } = await start();
    const { client } = await connect(front);
    const heard: number[] = [];
    const onprogress = ({ progress }: { progress: number }): void => void heard.push(progress);
    await client.callTool({ name: 'progress', arguments: {} }, undefined, { onprogress });
    expect(heard).toEqual([1, 2]);
  });

  it('hears of what belongs to no request', async () => {
    const { front, sessions } = await start();
    const { client } = await connect(front);
    let heard = 0;
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
      heard++;
    });
    await expect
      .poll(() => {
        sessions.last.notify('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
        return heard;
      })
      .toBeGreaterThan(0);
  });

  it('ends its session', async () => {
    const { front, sessions } = await start();
    const { transport } = await connect(front);
    await transport.terminateSession();
    expect(sessions.last.closedBy).toBe('client');
  });

  it('shares nothing with another client', async () => {
    const { front, sessions } = await start();
    await connect(front);
    await connect(front);
    expect(sessions.opened).toHaveLength(2);
    expect(sessions.opened[0]).not.toBe(sessions.opened[1]);
  });
});

describe('the newer client library', () => {
  // `auto` asks first whether the server speaks the revision without sessions; our refusal must not end the conversation.
  it.each(['legacy', 'auto'] as const)('connects and calls a tool (%s)', async (mode) => {
    const { front } = await start();
    const client = new NewerClient(
      { name: 'test', version: '0' },
      mode === 'auto' ? { versionNegotiation: { mode } } : {},
    );
    await client.connect(new NewerTransport(new URL(front.url)));
    cleanups.push(() => client.close());
    const { content } = await client.callTool({ name: 'echo', arguments: { a: 1 } });
    expect(content).toEqual([{ type: 'text', text: '{"a":1}' }]);
  });
});
