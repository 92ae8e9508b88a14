// Servers that break the protocol, each in its own way: what becomes of the call, and of the connection.

import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Connection } from '../../adapters/upstream/connection.ts';
import { type StdioServerSurroundings, stdioToolServer } from '../../adapters/upstream/stdio/stdio-tool-server.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { ServerChange, ToolAnswer } from '../../proxy/tool-server.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { hooks, QUIET } from '../support/hooks.ts';
import { callOf, textOf } from './tool-server.contract.ts';

const servers: Connection[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

function hostile(mode: string, more: Partial<StdioServerSurroundings> = {}): Connection {
  const config = { name: 'hostile', command: process.execPath, args: [fixtureServer('hostile.mjs'), mode] };
  const server = stdioToolServer(config, { clientInfo: { name: 'portcullis', version: '0' }, ...more });
  servers.push(server);
  return server;
}

async function poke(server: Connection, seen: JsonObject[] = [], bytesMax = 1_000_000): Promise<ToolAnswer> {
  return server.dispatch(callOf('poke', {}, bytesMax), hooks({ onProgress: (params) => seen.push(params) })).answer;
}

describe('an answer that is not to be believed', () => {
  for (const [mode, detail] of [
    ['duplicate-members', /duplicate_key/],
    ['invalid-utf8', /utf8/],
    ['lone-surrogate', /lone_surrogate/],
    ['big-number', /number/],
    ['proto', /forbidden_key/],
    ['deep', /too_deep/],
    ['result-and-error', /both a result and an error/],
    ['result-null', /not an object/],
    ['result-text', /not an object/],
    ['result-list', /not an object/],
    ['error-null', /not an object/],
    ['error-without-code', /code/],
    ['error-code-text', /code/],
    ['error-without-message', /no message/],
    ['jsonrpc-1', /2\.0/],
    ['no-jsonrpc', /2\.0/],
    ['extra-member', /does not know/],
    ['neither', /not JSON-RPC/],
  ] as const) {
    proves('G4', `a server that answers with ${mode} is refused, and the connection lives on`, async () => {
      const server = hostile(mode);
      await server.start();
      const answer = await poke(server);
      expect(answer).toMatchObject({ kind: 'refused', code: 'OUTPUT_INVALID', detail: expect.stringMatching(detail) });
      expect(server.description).toBeDefined();
    });
  }
});

describe('a protocol violation that names no call', () => {
  for (const [mode, detail] of [
    ['bad-json', /not a JSON message/],
    ['plain-text', /Listening for requests/],
    ['not-an-object', /not a JSON object/],
    ['batch', /not a JSON object/],
    ['empty-object', /not JSON-RPC/],
    ['asks-with-object-id', /neither text nor a number/],
    ['progress-flood', /unsolicited messages/],
    ['request-flood', /unsolicited messages/],
    ['exits', /exit code 3/],
    ['closes-stdout', /closed its standard output/],
    ['changes-tools-badly', /twice/],
  ] as const) {
    proves('G4', `a server that commits ${mode} is ended, and its calls are lost`, async () => {
      const ended: string[] = [];
      const server = hostile(mode, { listener: { onEnded: (why) => ended.push(why) } });
      await server.start();
      expect(await poke(server)).toMatchObject({ kind: 'lost', detail: expect.stringMatching(detail) });
      expect(ended).toEqual([expect.stringMatching(detail)]);
      expect(server.description).toBeUndefined();
    });
  }
});

describe('what is dropped without harm', () => {
  for (const [mode, dropped] of [
    ['honest', {}],
    ['blank-lines', {}],
    ['crlf', {}],
    ['in-pieces', {}],
    ['twice', { answers: 1 }],
    ['foreign-ids', { answers: 6 }],
    ['unknown-notification', { notifications: 1 }],
    ['big-number-in-log', { notifications: 1 }],
    ['asks-with-our-id', {}],
    ['asks-tools-call', {}],
    ['progress-wrong', { progress: 8 }],
    ['floods-stderr', {}],
  ] as const) {
    it(`${mode} does not keep a call from its own answer`, async () => {
      const server = hostile(mode);
      await server.start();
      const seen: JsonObject[] = [];
      expect(textOf(await poke(server, seen))).toBe('poked');
      const none = { answers: 0, notifications: 0, progress: 0, requests: 0 };
      await vi.waitFor(() => expect(server.dropped).toEqual({ ...none, ...dropped }));
      if (mode === 'progress-wrong') expect(seen.map((params) => params.progress)).toEqual([5, 9]);
    });
  }

  it('an answer for another call in flight goes to that call once, and keeps no call from its own', async () => {
    const server = hostile('answers-the-other');
    await server.start();
    const [first, second] = await Promise.all([poke(server), poke(server)]);
    expect([first, second].map(textOf)).toEqual(['theirs', 'poked']);
    await vi.waitFor(() => expect(server.dropped).toMatchObject({ answers: 1 }));
  });

  it('an answer written just before the exit still counts', async () => {
    const server = hostile('answers-and-exits');
    await server.start();
    expect(textOf(await poke(server))).toBe('poked');
    await vi.waitFor(() => expect(server.description).toBeUndefined());
  });

  it('content that breaks its own output schema is passed on for the gate to judge', async () => {
    const server = hostile('breaks-output-schema');
    await server.start();
    expect(await poke(server)).toMatchObject({ kind: 'result', result: { structuredContent: { n: 'not a number' } } });
  });
});

describe('too much or nothing at all', () => {
  it('a line without an end is refused at once and ends the server at the bound', async () => {
    const ended: string[] = [];
    const listener = { onEnded: (why: string) => ended.push(why) };
    const server = hostile('endless-line', { listener, processLimits: { discardBytesMax: 4_000_000 } });
    await server.start();
    expect(await poke(server)).toMatchObject({ kind: 'refused', code: 'OUTPUT_TOO_LARGE' });
    await vi.waitFor(() => expect(ended).toEqual(['it wrote a line without an end']));
  });

  it('silence after a cancel is a lost call, not a lost server', async () => {
    const server = hostile('silent', { limits: { cancelGraceMs: 20 }, whenIgnored: 'withhold' });
    await server.start();
    const run = server.dispatch(callOf('poke', {}), QUIET);
    run.cancel('the deadline passed');
    expect(await run.answer).toMatchObject({ kind: 'lost' });
    expect(server.description).toBeDefined();
  });

  it('a server that reads nothing gets no more than its share of memory', async () => {
    const server = hostile('deaf', { processLimits: { stdinBytesMax: 300_000 } });
    await server.start();
    const body = { text: 'x'.repeat(100_000) };
    const runs = Array.from({ length: 20 }, () => server.dispatch(callOf('poke', body), QUIET));
    expect(await runs[19]!.answer).toMatchObject({ kind: 'refused', code: 'OVERLOADED' });
    await server.stop();
    expect(await runs[0]!.answer).toMatchObject({ kind: 'lost' });
  });
});

describe('a start that cannot be believed', () => {
  for (const [mode, detail] of [
    ['init-error', /answered initialize with the error "not today"/],
    ['init-no-version', /unknown revision/],
    ['init-version-number', /unknown revision/],
    ['init-no-capabilities', /lacks capabilities/],
    ['init-no-server-info', /lacks capabilities or serverInfo/],
    ['init-instructions-list', /instructions are not text/],
    ['init-silent', /was not ready after 200 ms/],
    ['init-exit', /exit code 4; its standard error ends with "missing API key"/],
    ['init-banner', /not a JSON message .*Hostile MCP Server v1/],
    ['list-error', /answered tools\/list with the error "no list"/],
    ['list-not-a-list', /not a list/],
    ['list-no-name', /without a name/],
    ['list-no-schema', /lists the tool "bare" with a schema that is missing or no object/],
    ['list-schema-text', /lists the tool "poke" with a schema/],
    ['list-twice-a-name', /lists the tool "a" twice/],
    ['list-huge-tool', /definition of its tool "huge" is larger than 262144 bytes/],
    ['list-same-cursor', /repeats a cursor/],
    ['list-endless', /more than 100 pages/],
    ['list-cursor-number', /cursor .* is not text/],
    ['list-silent', /was not ready after 200 ms/],
  ] as const) {
    it(`${mode} is explained and leaves nothing running`, async () => {
      const server = hostile(mode, { limits: mode.endsWith('silent') ? { startTimeoutMs: 200 } : {} });
      await expect(server.start()).rejects.toThrow(detail);
      expect(server.description).toBeUndefined();
      expect(await poke(server)).toMatchObject({ kind: 'refused', code: 'SERVER_UNAVAILABLE' });
    });
  }

  for (const [config, detail] of [
    [{ command: 'no-such-command-anywhere' }, /command not found: no-such-command-anywhere/],
    [{ command: './no-such-file' }, /command not found: \.\/no-such-file/],
    [{ command: '/etc/passwd' }, /command is not executable: \/etc\/passwd/],
    [{ command: '/tmp' }, /command is not a file: \/tmp/],
    [{ command: '' }, /command is empty/],
    [{ command: process.execPath, cwd: '/no/such/folder' }, /working directory does not exist: \/no\/such\/folder/],
    [{ command: process.execPath, env: { NODE_OPTIONS: '--require=/tmp/x' } }, /NODE_OPTIONS may not be given/],
    [{ command: process.execPath, inherit: ['LD_PRELOAD'] }, /LD_PRELOAD may not be given/],
  ] as const) {
    it(`${JSON.stringify(config)} is explained without starting anything`, async () => {
      const server = stdioToolServer(
        { name: 'wrong', ...config },
        { clientInfo: { name: 'portcullis', version: '0' } },
      );
      await expect(server.start()).rejects.toThrow(detail);
    });
  }

  it('the third start in a row is refused until some time has passed', async () => {
    const server = hostile('init-error');
    await expect(server.start()).rejects.toThrow(/not today/);
    await expect(server.start()).rejects.toThrow(/not today"$/);
    await expect(server.start()).rejects.toThrow(
      /failed 2 times in a row, last because .*not today.*can be tried again in \d+ ms/,
    );
    await server.stop();
    await expect(server.start()).rejects.toThrow(/not today"$/);
  });
});

describe('a list of tools that changes', () => {
  it('is read anew and announced', async () => {
    const server = hostile('changes-tools');
    const changes: ServerChange[] = [];
    server.onChange((change) => changes.push(change));
    await server.start();
    await poke(server);
    await vi.waitFor(() => expect(changes).toEqual(['up', 'tools']));
    expect(server.description?.tools.map((tool) => tool.name)).toEqual(['poke', 'new']);
    expect(server.description?.tools[0]?.raw.description).toBe('now something else');
  });

  it('is not read anew for every announcement', async () => {
    const server = hostile('changes-tools-all-the-time', { limits: { listIntervalMs: 10 } });
    let lists = 0;
    server.onChange((change) => {
      if (change === 'tools') lists++;
    });
    await server.start();
    await poke(server);
    expect(lists).toBeGreaterThan(0);
    expect(lists).toBeLessThan(20);
  });
});
