// The reference servers as they are published, over both transports.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Connection } from '../../adapters/upstream/connection.ts';
import { httpToolServer } from '../../adapters/upstream/http/http-tool-server.ts';
import { stdioToolServer } from '../../adapters/upstream/stdio/stdio-tool-server.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { OfferKind } from '../../proxy/tool-server.ts';
import { referenceServer } from '../fixtures/servers/paths.ts';
import { hooks, QUIET } from '../support/hooks.ts';
import { callOf, textOf } from './tool-server.contract.ts';

const clientInfo = { name: 'portcullis', version: '0' };
const undo: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});

function overStdio(name: 'filesystem' | 'everything', ...args: string[]): Connection {
  const config = { name, command: process.execPath, args: [referenceServer(name), ...args] };
  const server = stdioToolServer(config, { clientInfo });
  undo.push(() => server.stop());
  return server;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}

async function overHttp(): Promise<Connection> {
  const port = await freePort();
  const env = { PATH: process.env.PATH ?? '', PORT: String(port) };
  const child = spawn(process.execPath, [referenceServer('everything'), 'streamableHttp'], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  undo.push(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null) await once(child, 'close');
  });
  let said = '';
  while (!said.includes(String(port))) said += String((await once(child.stderr, 'data'))[0]);
  child.stderr.resume();
  const server = httpToolServer({ name: 'everything', url: `http://127.0.0.1:${port}/mcp` }, { clientInfo });
  undo.push(() => server.stop());
  return server;
}

describe('server-filesystem over stdio', () => {
  it('lists its tools, reads a file of its folder and keeps to it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
    undo.push(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, 'note.txt'), 'a note');
    const server = overStdio('filesystem', folder);
    const { tools, protocolVersion } = await server.start();
    expect(protocolVersion).toBe('2025-11-25');
    expect(tools.map((tool) => tool.name)).toEqual(
      expect.arrayContaining(['read_text_file', 'write_file', 'list_directory']),
    );
    const read = (path: string) => server.dispatch(callOf('read_text_file', { path }), QUIET).answer;
    expect(textOf(await read(join(folder, 'note.txt')))).toBe('a note');
    expect(await read('/etc/hostname')).toMatchObject({ kind: 'result', result: { isError: true } });
  });
});

for (const [transport, open] of [
  ['stdio', async () => overStdio('everything', 'stdio')],
  ['Streamable HTTP', overHttp],
] as const) {
  describe(`server-everything over ${transport}`, () => {
    it('echoes, adds, reports progress and refuses what it does not know', async () => {
      const server = await open();
      const { tools, serverInfo, instructions } = await server.start();
      expect(serverInfo).toMatchObject({ name: expect.any(String) });
      expect(typeof instructions).toBe('string');
      expect(tools.map((tool) => tool.name)).toContain('echo');
      const seen: JsonObject[] = [];
      const ask = (name: string, args: JsonObject) =>
        server.dispatch(callOf(name, args), hooks({ onProgress: (params) => seen.push(params) })).answer;
      expect(textOf(await ask('echo', { message: 'hello' }))).toBe('Echo: hello');
      expect(textOf(await ask('get-sum', { a: 2, b: 40 }))).toContain('42');
      expect(textOf(await ask('trigger-long-running-operation', { duration: 0.5, steps: 5 }))).toContain('completed');
      expect(seen.map((params) => params.progress)).toEqual([1, 2, 3, 4, 5]);
      expect(await ask('no-such-tool', {})).toSatisfy(
        (answer: { kind: string; result?: { isError?: boolean } }) =>
          answer.kind === 'error' || answer.result?.isError === true,
      );
    });

    it('reads resources, gets prompts, completes, and lists what it offers', async () => {
      const server = await open();
      await server.start();
      const ask = (method: string, params: JsonObject) =>
        server.dispatch({ ...callOf('', {}), method, body: canonicalJson(params) }, QUIET).answer;
      const uri = 'demo://resource/dynamic/text/1';
      expect(await ask('resources/read', { uri: 'demo://nowhere' })).toMatchObject({ kind: 'error' });
      expect(await ask('resources/read', { uri })).toMatchObject({ result: { contents: [{ uri }] } });
      expect(await ask('resources/subscribe', { uri })).toMatchObject({ kind: 'result' });
      expect(await ask('prompts/get', { name: 'args-prompt', arguments: { city: 'Turku' } })).toMatchObject({
        result: { messages: [{ role: 'user' }] },
      });
      const ref = { type: 'ref/prompt', name: 'completable-prompt' };
      expect(await ask('completion/complete', { ref, argument: { name: 'department', value: 'S' } })).toMatchObject({
        result: { completion: { values: ['Sales', 'Support'] } },
      });
      const names = async (kind: OfferKind) => (await server.list(kind)).map(({ name }) => name);
      expect(await names('prompts')).toContain('simple-prompt');
      expect((await names('resources')).length).toBeGreaterThan(0);
      expect((await names('resourceTemplates')).length).toBeGreaterThan(0);
    });
  });
}
