// What a client sends is what the server hears, and what the server says is what the client hears, with members that no revision knows
// everywhere, over each pair of transports. What may differ is listed below, with its reason; everything else is a fault of ours.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../domain/json.ts';
import { LISTS } from '../fixtures/servers/mirror-core.mjs';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, installation, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { type FaithfulClient, faithfulHttp, faithfulSocket, faithfulStdio } from '../support/faithful-clients.ts';

const UPSTREAM = ['stdio', 'http', 'sse', 'ws'] as const;
const DOWNSTREAM = ['stdio', 'http', 'ws'] as const;

const ANSWER = 'test.example/answer';
const HEARD = 'test.example/heard';

/** Members of `_meta` that one hop sets for itself, so that they cannot be what the other side sent. */
const OF_ONE_HOP = {
  progressToken: 'the gate counts progress by tokens of its own, so that one client cannot name the call of another',
  'dev.portcullis/receipt': 'where the released result is found in the ledger',
};

let stdioGate: RunningCommand;
let httpGate: RunningCommand;
const clients = new Map<string, FaithfulClient>();
const stops: (() => Promise<void>)[] = [];

async function mirrorBehind(transport: string): Promise<number> {
  const child = spawn(process.execPath, [fixtureServer('mirror.mjs'), transport], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout, 'data');
  stops.push(async () => {
    child.stdin.end();
    child.stdout.destroy();
    await once(child, 'close');
  });
  return Number(String(line));
}

beforeAll(async () => {
  const at = installation();
  const [http, sse, ws] = [await mirrorBehind('http'), await mirrorBehind('sse'), await mirrorBehind('ws')];
  at.configure(
    {
      agents: { me: { auth: 'local' } },
      servers: {
        stdio: { stdio: { command: process.execPath, args: [fixtureServer('mirror.mjs'), 'stdio'] } },
        http: { http: { url: `http://127.0.0.1:${http}/mcp` } },
        sse: { sse: { url: `http://127.0.0.1:${sse}/sse` } },
        ws: { ws: { url: `ws://127.0.0.1:${ws}/mcp` } },
      },
    },
    '@id("all") @reason("a mirror does nothing") permit (principal, action, resource);\n',
  );
  httpGate = at.start(['serve', '--name', 'http', '--http', '127.0.0.1:0']);
  stdioGate = at.start(['serve', '--name', 'stdio', '--stdio']);
  const url = await urlOf(httpGate);
  clients.set('http', await faithfulHttp(url));
  clients.set('ws', await faithfulSocket(url.replace('http:', 'ws:')));
  clients.set('stdio', await faithfulStdio(stdioGate));
}, 60_000);

afterAll(async () => {
  for (const client of clients.values()) await client.close();
  await httpGate?.stop();
  await stdioGate?.stop();
  await Promise.all(stops.map((stop) => stop()));
  await closeInstallations();
});

/** Values that JSON carries without loss everywhere; the strict parser refuses the others, which is tested elsewhere. */
const value: fc.Arbitrary<Json> = fc.jsonValue({ maxDepth: 3 }).map((any) => cleaned(any as Json));
const name = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }).map((text) => `x-${text}`);
const unknown: fc.Arbitrary<JsonObject> = fc.dictionary(name, value, { maxKeys: 3 }).map((object) => ({ ...object }));

/** Names that are refused wherever they stand, in a message or in arguments that rules read. */
const REFUSED_NAMES = ['__proto__', 'constructor', 'prototype', '__entity', '__extn', '__expr'];

function cleaned(any: Json): Json {
  if (typeof any === 'number') return Object.is(any, -0) || !Number.isFinite(any) || Math.abs(any) > 2 ** 53 ? 0 : any;
  if (typeof any === 'string') return (any as string & { toWellFormed(): string }).toWellFormed();
  if (Array.isArray(any)) return any.map(cleaned);
  if (typeof any !== 'object' || any === null) return any;
  const entries = Object.entries(any as JsonObject).filter(([key]) => !REFUSED_NAMES.includes(key));
  return Object.fromEntries(entries.map(([key, member]) => [cleaned(key), cleaned(member)]));
}

const request = fc.record({ payload: value, params: unknown, meta: unknown });
const said = fc.record({ result: unknown, block: unknown, meta: unknown, structured: unknown, data: unknown });

function withoutHop(meta: Json | undefined): JsonObject {
  return Object.fromEntries(
    Object.entries((meta ?? {}) as JsonObject).filter(([key]) => !Object.hasOwn(OF_ONE_HOP, key)),
  );
}

/** Each governed method with params that it needs, and a result that it may have, both full of what nobody knows. */
const EXCHANGES: readonly {
  readonly method: string;
  readonly params: (server: string, payload: Json) => JsonObject;
  /** The params as the server knows them. */
  readonly own: (payload: Json) => JsonObject;
  readonly result: (given: { result: JsonObject; block: JsonObject; structured: JsonObject }) => JsonObject;
}[] = [
  {
    method: 'tools/call',
    params: (server, payload) => ({ name: `${server}__mirror`, arguments: { payload } }),
    own: (payload) => ({ name: 'mirror', arguments: { payload } }),
    result: ({ result, block, structured }) => ({
      ...result,
      content: [
        { ...block, type: 'text', text: 'é€\u2028', annotations: { priority: 0.5, ...block } },
        { ...block, type: 'of-a-later-revision' },
      ],
      structuredContent: structured,
    }),
  },
  {
    method: 'prompts/get',
    params: (server) => ({ name: `${server}__mirror`, arguments: { a: 'b' } }),
    own: () => ({ name: 'mirror', arguments: { a: 'b' } }),
    result: ({ result, block }) => ({
      ...result,
      messages: [{ role: 'user', ...block, content: { ...block, type: 'text', text: 'x' } }],
    }),
  },
  {
    method: 'completion/complete',
    params: (server) => ({
      ref: { type: 'ref/prompt', name: `${server}__mirror`, 'x-later': 1 },
      argument: { name: 'a', value: 'b' },
    }),
    own: () => ({ ref: { type: 'ref/prompt', name: 'mirror', 'x-later': 1 }, argument: { name: 'a', value: 'b' } }),
    result: ({ result, block }) => ({ ...result, completion: { ...block, values: ['b', 'c'] } }),
  },
];

describe.each(DOWNSTREAM)('a client on %s', (downstream) => {
  describe.each(UPSTREAM)('and a server on %s', (upstream) => {
    for (const { method, params, own, result } of EXCHANGES) {
      proves('G8', `${method}: hear each other word for word`, async () => {
        const client = clients.get(downstream) as FaithfulClient;
        await fc.assert(
          fc.asyncProperty(request, said, async (asked, given) => {
            const answer = { ...result(given), _meta: given.meta };
            const meta = { ...asked.meta, progressToken: 'ours', [ANSWER]: { result: answer } };
            const heard = await client.ask(method, {
              ...asked.params,
              ...params(upstream, asked.payload),
              _meta: meta,
            });
            const { _meta: released, ...rest } = heard.result as JsonObject;
            const { _meta, ...expected } = answer;
            expect(rest).toEqual(expected);
            const { [HEARD]: seen, ...others } = withoutHop(released);
            expect(others).toEqual(withoutHop(given.meta));
            const { _meta: seenMeta, ...seenParams } = (seen as JsonObject).params as JsonObject;
            expect(seenParams).toEqual({ ...asked.params, ...own(asked.payload) });
            expect(withoutHop(seenMeta)).toEqual(withoutHop(meta));
            expect((seen as JsonObject).method).toBe(method);
          }),
          { numRuns: 12 },
        );
      });
    }

    it('errors keep code, message and data', async () => {
      const client = clients.get(downstream) as FaithfulClient;
      await fc.assert(
        fc.asyncProperty(said, async ({ data }) => {
          const error = { code: -32050, message: 'é: no\u2028', data };
          const params = { name: `${upstream}__mirror`, arguments: {}, _meta: { [ANSWER]: { error } } };
          const heard = (await client.ask('tools/call', params)).error as JsonObject;
          expect({ code: heard.code, message: heard.message }).toEqual({ code: error.code, message: error.message });
          expect(withoutHop(heard.data)).toEqual(data);
        }),
        { numRuns: 8 },
      );
    });

    it('progress keeps its members, before the answer and in order', async () => {
      const client = clients.get(downstream) as FaithfulClient;
      const steps: readonly JsonObject[] = [{ progress: 1, total: 2, message: 'é', 'x-later': [] }, { progress: 2 }];
      const before = steps.map((params) => ({ jsonrpc: '2.0', method: 'notifications/progress', params }));
      const _meta = { progressToken: 'mine', [ANSWER]: { before, result: { content: [] } } };
      const { notifications } = await client.ask('tools/call', { name: `${upstream}__mirror`, arguments: {}, _meta });
      expect(notifications.map(({ params }) => params)).toEqual(
        steps.map((params) => ({ ...params, progressToken: 'mine' })),
      );
    });
  });

  it('lists keep what servers say of what they offer, under qualified names', async () => {
    const client = clients.get(downstream) as FaithfulClient;
    for (const [method, list] of Object.entries(LISTS).slice(0, 1)) {
      const [member = ''] = Object.keys(list);
      const items = (list[member] ?? []) as readonly JsonObject[];
      const { result } = await client.ask(method, {});
      const expected = UPSTREAM.flatMap((server) =>
        items.map((item) =>
          method.startsWith('resources') ? item : { ...item, name: `${server}__${String(item.name)}` },
        ),
      );
      expect((result as JsonObject)[member]).toEqual(expected);
    }
  });
});
