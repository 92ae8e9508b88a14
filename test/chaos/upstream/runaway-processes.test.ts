// Servers that try to leave something behind: what they started ends with them and with the gate, however it tried to get away.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { MachineMeans } from '../../../adapters/upstream/stdio/launch-plan.ts';
import { findMachineMeans } from '../../../adapters/upstream/stdio/machine-means.ts';
import type { EndedProcess } from '../../../adapters/upstream/stdio/process-pipe.ts';
import { type StdioServerSurroundings, stdioToolServer } from '../../../adapters/upstream/stdio/stdio-tool-server.ts';
import { fixtureServer } from '../../fixtures/servers/paths.ts';
import { proves } from '../../guarantees.ts';
import { everyProcessNaming, goneWithin } from '../../support/processes.ts';

const MEANS = await findMachineMeans();
const WITHOUT_NAMESPACE: MachineMeans = { ...MEANS, enclosure: undefined };
const onCi = process.env.CI === 'true';
const hasNamespaces = MEANS.enclosure !== undefined || onCi;

/** Answers initialize, and then ends with its input. */
const SERVE = `read -r line
printf '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"runaway","version":"0"}}}\\n'
while read -r line; do :; done`;

/** What each starts first. $0 is a name by which its processes are found. */
const WAYS = {
  'a session of its own': 'setsid sh -c "sleep 1000; :" "$0" &',
  'a double fork': '(setsid sh -c \'(setsid sh -c "sleep 1000; :" "$0" >/dev/null 2>&1 </dev/null &)\' "$0" &) ',
  'deaf to signals and to the end of its input':
    'trap "" TERM INT HUP; (trap "" TERM; setsid sh -c "sleep 1000; :" "$0" </dev/null >/dev/null 2>&1 &)',
} as const;
const STAYS = `${SERVE}\nwhile :; do sleep 1; done`;

let mark = '';
beforeEach(() => {
  mark = mkdtempSync(join(tmpdir(), 'portcullis-'));
});
afterEach(() => rmSync(mark, { recursive: true }));

function runaway(text: string, more: Partial<StdioServerSurroundings> = {}) {
  const processLimits = { closeGraceMs: 50, termGraceMs: 50 };
  return stdioToolServer(
    { name: 'runaway', command: '/bin/sh', args: ['-c', text, mark] },
    { clientInfo: {}, means: async () => MEANS, processLimits, ...more },
  );
}

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

const left = () => everyProcessNaming(mark).filter(({ command }) => command.includes('sleep 1000'));

describe.skipIf(process.platform !== 'linux')('what a server starts', () => {
  for (const [way, text] of Object.entries(WAYS)) {
    for (const means of [MEANS, WITHOUT_NAMESPACE]) {
      const held = means === MEANS ? 'a namespace' : 'its mark';
      it.skipIf(means === MEANS && !hasNamespaces)(`with ${way} ends with the server, found by ${held}`, async () => {
        const server = runaway(`${text}\n${STAYS}`, { means: async () => means });
        await server.start();
        await vi.waitFor(() => expect(left().length).toBeGreaterThan(0));
        await server.stop();
        expect(await goneWithin(mark, 2_000)).toEqual([]);
      });
    }

    proves('G12', `with ${way} ends with a gate that is killed`, async () => {
      if (!hasNamespaces) return;
      const loader = fileURLToPath(new URL('../../support/typescript.mjs', import.meta.url));
      const args = ['--import', loader, fixtureServer('gatekeeper.mjs'), '--sh', `${text}\n${STAYS}`, mark];
      const gate = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      let said = '';
      gate.stdout.on('data', (chunk) => {
        said += chunk;
      });
      await vi.waitFor(() => expect(said).toContain('server '), 20_000);
      await vi.waitFor(() => expect(left().length).toBeGreaterThan(0));
      gate.kill('SIGKILL');
      await once(gate, 'exit');
      expect(await goneWithin(mark, 1_000)).toEqual([]);
    });
  }

  it('instead of itself is still the server, and ends like it', async () => {
    const server = runaway(`exec sh -c '${SERVE.replaceAll("'", `'"'"'`)}' "$0"`);
    await server.start();
    expect(everyProcessNaming(mark).map(({ pid }) => pid)).toContain(server.pid());
    await server.stop();
    expect(everyProcessNaming(mark)).toEqual([]);
  });
});

describe.skipIf(process.platform !== 'linux')('the end of a server', () => {
  const endOf = async (text: string, more: Partial<StdioServerSurroundings> = {}): Promise<EndedProcess> => {
    const ended = deferred<EndedProcess>();
    const server = runaway(text, { listener: { onProcessEnded: (one) => ended.resolve(one) }, ...more });
    await server.start().catch(() => undefined);
    const told = await ended.promise;
    await server.stop();
    return told;
  };

  it('is told with its exit code and its last words', async () => {
    const told = await endOf('echo no key >&2; exit 7');
    expect(told).toMatchObject({
      by: 'itself',
      detail: 'it ended with exit code 7; its standard error ends with "no key"',
    });
    expect(Buffer.from(told.stderr).toString()).toBe('no key\n');
  });

  it.each([
    ['a signal', 'kill -SEGV $$', 'it was ended by SIGSEGV'],
    ['SIGTERM that nobody handles', 'kill -TERM $$', 'it was ended by SIGTERM'],
  ])('by %s is told as that', async (_what, text, detail) => {
    expect(await endOf(text)).toMatchObject({ by: 'itself', detail });
  });

  it('keeps no more of a flood on its standard error than the bound, and the last of it', async () => {
    const told = await endOf('head -c 3000000 /dev/zero | tr "\\0" x >&2; echo the end >&2; exit 1', {
      processLimits: { stderrBytesMax: 10_000 },
    });
    expect(told.stderr.length).toBe(10_000);
    expect(Buffer.from(told.stderr).toString()).toMatch(/^x+the end\n$/);
  });

  it.skipIf(MEANS.prlimit === undefined && !onCi)('comes when it uses more than it was given', async () => {
    const resources = { cpuSeconds: 1 };
    const ended = deferred<EndedProcess>();
    const config = { name: 'busy', command: '/bin/sh', args: ['-c', 'while :; do :; done', mark], resources };
    const listener = { onProcessEnded: (one: EndedProcess) => ended.resolve(one) };
    const server = stdioToolServer(config, { clientInfo: {}, means: async () => MEANS, listener });
    void server.start().catch(() => undefined);
    expect(await ended.promise).toMatchObject({ detail: expect.stringMatching(/^it was ended by SIG(XCPU|KILL)$/) });
    await server.stop();
  });
});

describe.skipIf(process.platform !== 'linux')('thirty rounds of a server that leaves something', () => {
  it('leave no process and no descriptor', async () => {
    const round = async () => {
      const server = runaway(`${WAYS['a double fork']}\n${SERVE}`);
      await server.start();
      await server.stop();
    };
    for (let i = 0; i < 3; i++) await round();
    const descriptors = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 30; i++) await round();
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(descriptors);
    expect(await goneWithin(mark, 1_000)).toEqual([]);
  }, 30_000);
});
