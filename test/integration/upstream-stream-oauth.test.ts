// Protected servers on HTTP+SSE and on WebSocket: the same tokens, got in the same way, as on Streamable HTTP.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Connection } from '../../adapters/upstream/connection.ts';
import { CredentialStore } from '../../adapters/upstream/http/oauth/credentials.ts';
import { sseToolServer } from '../../adapters/upstream/sse/sse-tool-server.ts';
import { wsToolServer } from '../../adapters/upstream/ws/ws-tool-server.ts';
import { browse, ProtectedWorld } from '../support/protected-server.ts';
import { type ProtectedStream, protectedSse, protectedWs } from '../support/protected-streams.ts';
import { callEcho, up } from '../support/started.ts';

const SOON = { timeout: 15_000, interval: 50 };
const TRANSPORTS = [
  { name: 'HTTP+SSE', start: protectedSse, connect: sseToolServer },
  { name: 'WebSocket', start: protectedWs, connect: wsToolServer },
] as const;

describe.each(TRANSPORTS)('a protected server on $name', ({ start, connect }) => {
  let world: ProtectedWorld;
  let stream: ProtectedStream;
  let folder: string;
  let notes: string[];
  let open: Connection[];

  beforeEach(async () => {
    world = await new ProtectedWorld().start();
    stream = await start(world);
    folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
    notes = [];
    open = [];
  });

  afterEach(async () => {
    await Promise.all(open.map((server) => server.stop()));
    await stream.stop();
    await world.stop();
    rmSync(folder, { recursive: true });
  });

  function server(person: boolean, headers = {}): Connection {
    const connection = connect(
      { name: 'vault', url: stream.url, headers },
      {
        clientInfo: { name: 'portcullis', version: '0' },
        ourEnvironment: {},
        credentials: new CredentialStore(join(folder, 'credentials.json'), new Uint8Array(32).fill(7)),
        consent: person ? async (address) => void (await browse(address)) : undefined,
        listener: { onAuthorization: (detail) => notes.push(detail) },
      },
    );
    open.push(connection);
    return connection;
  }

  it('says what to do while nobody has logged in, and gets no message', async () => {
    await expect(server(false).start()).rejects.toThrow('run portcullis login vault');
    expect(notes.join()).toContain('run portcullis login vault');
    expect(world.seen.map(({ authorization }) => authorization)).toEqual([undefined]);
  });

  it('gets a token for its own address, with its first request', async () => {
    const connection = await up(server(true));
    expect((await callEcho(connection)).kind).toBe('result');
    expect(world.calls).toBe(1);
    expect(world.authorizations[0]?.get('resource')).toBe(stream.url.replace('ws:', 'http:'));
    expect(world.seen.at(-1)?.authorization).toMatch(/^Bearer access-/);
  });

  it('gets the token of a login in another process', async () => {
    const connection = server(false);
    await expect(connection.start()).rejects.toThrow('login');
    await up(server(true));
    await up(connection);
    expect((await callEcho(connection)).kind).toBe('result');
  });

  it('gets tokens bound to a key, with a proof and its nonce', async () => {
    world.authorization.proofs = ['ES256'];
    world.server.schemes = ['DPoP'];
    world.server.nonce = 'of-the-server';
    const connection = await up(server(true));
    expect((await callEcho(connection)).kind).toBe('result');
    expect(world.seen.at(-1)?.authorization).toMatch(/^DPoP access-/);
  });

  it('whose token was revoked gets no further message with it, and the calls go on with the next', async () => {
    const connection = await up(server(true));
    world.revoke();
    const first = await callEcho(connection);
    // On a WebSocket who is there has proved it when it was opened.
    expect(first.kind).toBe(connect === sseToolServer ? 'refused' : 'result');
    await expect.poll(async () => (await callEcho(connection)).kind, SOON).toBe('result');
    expect(world.tokenRequests.length).toBe(connect === sseToolServer ? 2 : 1);
  });

  it('with a header of the configuration gets that and no token', async () => {
    await expect(server(true, { Authorization: 'Bearer mine' }).start()).rejects.toThrow();
    expect(world.seen.map(({ authorization }) => authorization)).toEqual(['Bearer mine']);
    expect(world.authorizations).toEqual([]);
  });
});
