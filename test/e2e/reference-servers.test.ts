// The reference servers behind a gate, as the official clients see them: over every way in, what is allowed happens and answers as it would
// without the gate, and what is not allowed does not happen.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { proves } from '../guarantees.ts';
import { APPROVING, closeInstallations, PORTCULLIS, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { everythingOverHttp } from '../support/everything-over-http.ts';
import { callsOf } from '../support/evidence.ts';
import { HARMLESS, type ReferenceGate, referenceGate } from '../support/reference-gate.ts';
import { LINES, metaOf, type SdkClient, sdkOverHttp, sdkOverStdio, withoutMeta } from '../support/sdk-clients.ts';

/** One way to reach both servers through one gate. */
interface Way {
  readonly name: string;
  /** The gate's name, which names its ledger. */
  readonly ledger: (server: 'fs' | 'everything') => string;
  readonly tool: (server: string, tool: string) => string;
  readonly open: (line: 'older' | 'newer', server: 'fs' | 'everything') => Promise<SdkClient>;
}

let reference: ReferenceGate;
let direct: Record<'fs' | 'everything', SdkClient>;
let url: string;
let remote: { url: string; stop(): Promise<void> };
let http: RunningCommand;
const clients: SdkClient[] = [];

const cli = (...args: string[]): string[] => [process.execPath, ...APPROVING, PORTCULLIS, ...args];
const own = (_: string, tool: string): string => tool;
const prefixed = (server: string, tool: string): string => `${server}__${tool}`;

const WAYS: readonly Way[] = [
  {
    name: 'wrap',
    ledger: (server) => server,
    tool: own,
    open: (line, server) =>
      sdkOverStdio(line, cli('wrap', '--alone', '--name', server, '--', ...reference.direct[server]), reference.at.env),
  },
  {
    name: 'serve --http, one server',
    ledger: () => 'http',
    tool: own,
    open: (line, server) => sdkOverHttp(line, `${url}/${server}`),
  },
  { name: 'serve --http, all servers', ledger: () => 'http', tool: prefixed, open: (line) => sdkOverHttp(line, url) },
  {
    name: 'serve --stdio',
    ledger: () => 'stdio',
    tool: prefixed,
    open: (line) => sdkOverStdio(line, cli('serve', '--stdio', '--name', 'stdio'), reference.at.env),
  },
];

beforeAll(async () => {
  reference = referenceGate();
  http = reference.at.start([
    'serve',
    '--http',
    '127.0.0.1:0',
    '--config',
    `${reference.at.home}/portcullis.yaml`,
    '--name',
    'http',
  ]);
  [remote, url] = await Promise.all([everythingOverHttp(), urlOf(http)]);
  const env = { PATH: process.env.PATH ?? '' };
  direct = {
    fs: await sdkOverStdio('older', reference.direct.fs, env),
    everything: await sdkOverStdio('older', reference.direct.everything, env),
  };
}, 60_000);

/** A gate on pipes ends with its client, and lets go of its ledger. */
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

afterAll(async () => {
  await Promise.all(Object.values(direct ?? {}).map((client) => client.close()));
  await http?.stop();
  await remote?.stop();
  await closeInstallations();
});

async function opened(way: Way, line: 'older' | 'newer', server: 'fs' | 'everything'): Promise<SdkClient> {
  const client = await way.open(line, server);
  clients.push(client);
  // A gate opens with the servers that are there: on a busy machine the other one comes a moment later.
  const known = way.tool(server, server === 'fs' ? 'read_text_file' : 'echo');
  await expect.poll(() => client.toolNames(), { timeout: 20_000 }).toContain(known);
  return client;
}

function textOf(result: JsonObject): string {
  return (result.content as readonly { text: string }[])[0]?.text ?? '';
}

for (const way of WAYS) {
  for (const line of way.name === 'serve --stdio' ? (['newer'] as const) : LINES) {
    describe(`${way.name}, the ${line} client`, () => {
      it('reads and writes in the workspace, and a write outside is denied and does not happen', async () => {
        const client = await opened(way, line, 'fs');
        const call = (tool: string, args: JsonObject) => client.call(way.tool('fs', tool), args);
        const { workspace, outside } = reference;

        const stolen = `${outside}/stolen-${line}.txt`;
        const denied = await call('write_file', { path: stolen, content: 'x' });
        expect(denied.isError).toBe(true);
        expect(textOf(denied)).toMatch(/^Denied by Portcullis \(POLICY_NO_PERMIT\).*Not executed\./);
        expect(metaOf(denied, 'denial')).toMatchObject({ code: 'POLICY_NO_PERMIT', category: 'policy_mismatch' });
        expect(existsSync(stolen)).toBe(false);
        const sneaky = await call('write_file', { path: `${workspace}/../outside/sneaky.txt`, content: 'x' });
        expect(metaOf(sneaky, 'denial')?.code).toBe('POLICY_NO_PERMIT');
        expect(existsSync(`${outside}/sneaky.txt`)).toBe(false);

        const file = `${workspace}/${way.name.replaceAll(/\W+/g, '-')}-${line}.txt`;
        const written = await call('write_file', { path: file, content: 'wrötten €' });
        expect(written.isError ?? false).toBe(false);
        expect(metaOf(written, 'receipt')).toEqual({
          call: expect.stringMatching(/^[0-9A-Z]{26}$/),
          entry: expect.any(Number),
          permit: expect.any(String),
        });
        expect(readFileSync(file, 'utf8')).toBe('wrötten €');
        expect(withoutMeta(await call('read_text_file', { path: file }))).toEqual(
          withoutMeta(await direct.fs.call('read_text_file', { path: file })),
        );
      });

      it('gives the results that the server gives, structured ones and images too, and shows nothing else', async () => {
        const client = await opened(way, line, 'everything');
        const listed = await client.toolNames();
        const visible = HARMLESS.map((tool) => way.tool('everything', tool)).sort();
        expect(listed.filter((tool) => !tool.startsWith('fs__'))).toEqual(visible);
        for (const [tool, args] of [
          ['echo', { message: 'héllo' }],
          ['get-sum', { a: 2, b: 40 }],
          ['get-structured-content', { location: 'Chicago' }],
          ['get-annotated-message', { messageType: 'error', includeImage: true }],
          ['get-tiny-image', {}],
          ['get-resource-links', { count: 3 }],
        ] as const) {
          const through = withoutMeta(await client.call(way.tool('everything', tool), args));
          expect(through, tool).toEqual(withoutMeta(await direct.everything.call(tool, args)));
        }
      });

      it('carries progress, and a cancellation ends the call', async () => {
        const client = await opened(way, line, 'everything');
        const tool = way.tool('everything', 'trigger-long-running-operation');
        const done = await client.call(tool, { duration: 1, steps: 3 }, { onprogress: () => {} });
        expect(textOf(done)).toContain('completed');
        expect(client.progress).toEqual([1, 2, 3]);

        const controller = new AbortController();
        const late = client.call(
          tool,
          { duration: 60, steps: 60 },
          {
            signal: controller.signal,
            onprogress: () => controller.abort('enough'),
          },
        );
        await expect(late).rejects.toThrow();
        // The ending is written when the gate has heard of it, which nobody waits for.
        await expect
          .poll(
            async () => {
              const calls = await callsOf(reference.at, way.ledger('everything'));
              return calls.filter(({ tool: name }) => name === 'trigger-long-running-operation').at(-1)?.code;
            },
            { timeout: 15_000 },
          )
          .toBe('CANCELLED');
        expect(textOf(await client.call(way.tool('everything', 'echo'), { message: 'on' }))).toBe('Echo: on');
      });
    });
  }
}

describe('a tool that may not be used', () => {
  proves('G9', 'answers like one that does not exist, over every way in', async () => {
    for (const way of WAYS) {
      const client = await opened(way, 'older', 'everything');
      const told = async (tool: string): Promise<string> => {
        const error = await client.call(way.tool('everything', tool), {}).then(
          (result) => JSON.stringify(result),
          (thrown: unknown) => JSON.stringify({ ...(thrown as object), message: String(thrown) }),
        );
        return error.replaceAll(tool, 'TOOL');
      };
      const forbidden = await told('get-env');
      expect(forbidden, way.name).toBe(await told('get-nothing'));
      expect(forbidden, way.name).toContain('Unknown tool: ');
    }
  });
});

describe('results of any size', () => {
  it('come through whole up to the limit, and are withheld beyond it', async () => {
    const { workspace, at } = reference;
    const [large, huge] = [`${workspace}/large.txt`, `${workspace}/huge.txt`];
    writeFileSync(large, 'ä"\n'.repeat(250_000));
    writeFileSync(huge, 'x'.repeat(3 * 1024 * 1024));
    for (const way of WAYS.slice(0, 2)) {
      const client = await opened(way, 'older', 'fs');
      const through = await client.call(way.tool('fs', 'read_text_file'), { path: large });
      const plain = await direct.fs.call('read_text_file', { path: large });
      expect(textOf(through).slice(0, 60)).toBe(textOf(plain).slice(0, 60));
      // The difference, if there is one, is not worth printing.
      expect(isDeepStrictEqual(withoutMeta(through), withoutMeta(plain))).toBe(true);
      const withheld = await client.call(way.tool('fs', 'read_text_file'), { path: huge });
      expect(metaOf(withheld, 'denial')?.code, textOf(withheld).slice(0, 300)).toBe('OUTPUT_TOO_LARGE');
      const calls = await callsOf(at, way.ledger('fs'));
      expect(calls.at(-1)).toMatchObject({ status: 'withheld', code: 'OUTPUT_TOO_LARGE' });
    }
  }, 60_000);
});

describe('a server over Streamable HTTP', () => {
  it.each(LINES)('is governed like one over pipes: results, progress, denials (the %s client)', async (line) => {
    const { at } = referenceGate({ everythingUrl: remote.url });
    const gate = at.start(['serve', '--http', '127.0.0.1:0']);
    const client = await sdkOverHttp(line, `${await urlOf(gate)}/everything`);
    clients.push(client);
    for (const [tool, args] of [
      ['echo', { message: 'far away' }],
      ['get-structured-content', { location: 'New York' }],
    ] as const) {
      const through = await client.call(tool, args);
      expect(withoutMeta(through), tool).toEqual(withoutMeta(await direct.everything.call(tool, args)));
      expect(metaOf(through, 'receipt')).toBeDefined();
    }
    await client.call('trigger-long-running-operation', { duration: 1, steps: 3 }, { onprogress: () => {} });
    expect(client.progress).toEqual([1, 2, 3]);
    expect(await client.toolNames()).toEqual([...HARMLESS].sort());
    await expect(client.call('get-env', {})).rejects.toThrow(/Unknown tool: get-env/);
    expect((await gate.stop()).code).toBe(0);
  });
});

describe('afterwards', () => {
  it('every ledger verifies and replays without a difference', async () => {
    for (const gate of ['http', 'stdio', 'fs', 'everything']) {
      const ledger = reference.at.ledger(gate);
      expect(await reference.at.audit(['verify', ledger]), gate).toMatchObject({ code: 0 });
      const replayed = await reference.at.audit(['replay', ledger, '--json']);
      expect(replayed, gate).toMatchObject({ code: 0 });
      expect(JSON.parse(replayed.stdout), gate).toMatchObject({ differences: [], decisionsNotReplayable: 0 });
    }
  });
});
