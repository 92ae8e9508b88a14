// A chain over real connections: an agent calls a tool that is an agent, and that one calls tools through the same gate for it.

import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import type { JsonObject } from '../../domain/json.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Installation, installation, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { callsOf } from '../support/evidence.ts';
import { denialOf, RawHttp, textOf } from '../support/raw-mcp.ts';

const KEY = 'dev.portcullis/lineage';
const SCOPE = 'dev.portcullis/scope';
const RULES = `@id("plan") @reason("the planner may ask for reviews and count")
permit (principal == Portcullis::Agent::"planner", action, resource);

@id("review") @reason("the reviewer may count for a planner")
permit (principal == Portcullis::Agent::"reviewer", action in [Portcullis::Action::"counter/count", Portcullis::Action::"counter/sleep"], resource)
when { context.lineage.rootAgent == Portcullis::Agent::"planner" && context.lineage.depth == 1 };
`;

/** An MCP server that is an agent: what its one tool does is told by the test. */
class Reviewer {
  work: (args: JsonObject, token: string) => Promise<string> = async () => 'nothing';
  readonly tokens: string[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString() || '{}') as JsonObject;
        if (id === undefined) {
          response.writeHead(202).end();
          return;
        }
        void this.#answer(String(method), (params ?? {}) as JsonObject).then((answer) =>
          response
            .writeHead(200, { 'content-type': 'application/json' })
            .end(JSON.stringify({ jsonrpc: '2.0', id, ...answer })),
        );
      });
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(method: string, params: JsonObject): Promise<JsonObject> {
    switch (method) {
      case 'initialize':
        return {
          result: {
            protocolVersion: '2025-11-25',
            capabilities: { tools: {} },
            serverInfo: { name: 'reviewer', version: '1' },
          },
        };
      case 'tools/list':
        return {
          result: {
            tools: [{ name: 'review', inputSchema: { type: 'object', properties: { n: { type: 'integer' } } } }],
          },
        };
      case 'tools/call': {
        const token = String((params._meta as JsonObject | undefined)?.[KEY] ?? '');
        this.tokens.push(token);
        const text = await this.work((params.arguments ?? {}) as JsonObject, token);
        return { result: { content: [{ type: 'text', text }] } };
      }
      default:
        return { error: { code: -32601, message: 'unknown' } };
    }
  }
}

const planner = generateApiKey();
const reviewing = generateApiKey();
const reviewer = new Reviewer();
let at: Installation;
let gate: RunningCommand;
let asPlanner: RawHttp;
let asReviewer: RawHttp;

const clientOf = async (key: string): Promise<RawHttp> => {
  const client = new RawHttp(await urlOf(gate), { authorization: `Bearer ${key}` });
  await client.initialize();
  return client;
};
const count = (client: RawHttp, token?: string, by = 1) =>
  client.ask('tools/call', {
    name: 'counter__count',
    arguments: { by },
    ...(token === undefined ? {} : { _meta: { [KEY]: token } }),
  });
const heard = (): string => readFileSync(at.path('heard.jsonl'), 'utf8');

beforeAll(async () => {
  at = installation();
  at.configure(
    {
      agents: {
        planner: { auth: { apiKey: planner.digest } },
        reviewer: { root: false, auth: { apiKey: reviewing.digest } },
      },
      servers: {
        review: { http: { url: `http://127.0.0.1:${await reviewer.listen()}/mcp` }, agent: 'reviewer' },
        counter: { stdio: { command: process.execPath, args: [fixtureServer('counter.mjs'), at.path('heard.jsonl')] } },
      },
    },
    RULES,
  );
  gate = at.start(['serve', '--name', 'chain', '--http', '127.0.0.1:0']);
  await gate.opensWith(2);
  asPlanner = await clientOf(planner.key);
  asReviewer = await clientOf(reviewing.key);
}, 60_000);

afterAll(async () => {
  await gate?.stop();
  await reviewer.close();
  await closeInstallations();
});

describe('an agent that is called', () => {
  proves('G11', 'calls for what it was called for, and not otherwise', async () => {
    expect(denialOf(await count(asReviewer))).toBe('LINEAGE_MISSING');
    let replies: (string | undefined)[] = [];
    reviewer.work = async (_, token) => {
      const stolen = denialOf(await count(asPlanner, token));
      const own = await count(asReviewer, token, 7);
      replies = [stolen, denialOf(own)];
      return textOf(own);
    };
    const reviewed = await asPlanner.call('review__review', {});
    expect(textOf(reviewed)).toBe('1');
    expect(replies).toEqual(['LINEAGE_BEARER', undefined]);
    expect(heard()).toBe('{"by":7}\n');
    expect(denialOf(await count(asReviewer, reviewer.tokens[0]))).toBe('LINEAGE_UNKNOWN_PARENT');
    expect(JSON.stringify(reviewed)).not.toContain(KEY);
  });

  proves('G11', 'does at most what it was handed', async () => {
    let code: string | undefined;
    reviewer.work = async (_, token) => {
      code = denialOf(await count(asReviewer, token, 9));
      return 'done';
    };
    const scope = [{ server: 'counter', actions: ['count'], max: { '/by': 8 } }];
    await asPlanner.ask('tools/call', { name: 'review__review', arguments: { n: 2 }, _meta: { [SCOPE]: scope } });
    expect(code).toBe('LINEAGE_SCOPE');
    expect(heard()).not.toContain('9');
  });

  proves('G11', 'has nothing running any more when its call has ended', async () => {
    let late: Promise<string | undefined> = Promise.resolve(undefined);
    reviewer.work = async (_, token) => {
      late = asReviewer
        .ask('tools/call', { name: 'counter__sleep', arguments: { ms: 20_000 }, _meta: { [KEY]: token } })
        .then(denialOf);
      await new Promise((resolve) => setTimeout(resolve, 300));
      return 'done';
    };
    expect(textOf(await asPlanner.call('review__review', { n: 3 }))).toBe('done');
    expect(await late).toBe('LINEAGE_PARENT_ENDED');
  });
});

it('the tree of a chain is told from the ledger, and nothing else', async () => {
  const calls = await callsOf(at, 'chain');
  const child = calls.find(({ agent, status }) => agent === 'reviewer' && status === 'completed');
  const shown = await at.run(['lineage', child?.call ?? '']);
  expect(shown).toMatchObject({ code: 0 });
  const [top, ...below] = shown.stdout.trimEnd().split('\n');
  expect(top).toMatch(/^\S{26} {2}planner {2}review\/review {2}completed after \d+ ms$/);
  expect(
    below.some((line) => /^[├└]─ \S{26} {2}reviewer {2}counter\/count {2}completed after \d+ ms ◀$/.test(line)),
  ).toBe(true);
  const tree = JSON.parse((await at.run(['lineage', child?.call ?? '', '--json'])).stdout) as JsonObject;
  expect(tree).toMatchObject({
    link: 'root',
    agent: 'planner',
    children: expect.arrayContaining([expect.objectContaining({ link: 'calls', agent: 'reviewer', origin: 'token' })]),
  });
  expect((await at.run(['lineage', child?.call ?? '', '--dot'])).stdout).toContain('->');
  expect(await at.run(['lineage', 'nothing'])).toMatchObject({ code: 1 });
});

it('the ledger says where each call stood, verifies, and replays', async () => {
  const calls = await callsOf(at, 'chain');
  const places = calls
    .filter(({ intent }) => intent !== undefined)
    .map(({ agent, tool, intent, status }) => {
      const { lineage } =
        (intent as unknown as { events: { lineage: { depth: number; agents?: string[] } }[] }).events[0] ?? {};
      return [agent, tool, lineage?.depth, lineage?.agents, status];
    });
  expect(places).toContainEqual(['planner', 'review', 0, undefined, 'completed']);
  expect(places).toContainEqual(['reviewer', 'count', 1, ['planner'], 'completed']);
  expect(await at.audit(['verify', at.ledger('chain')])).toMatchObject({ code: 0 });
  const replayed = await at.audit(['replay', at.ledger('chain'), '--json']);
  expect(JSON.parse(replayed.stdout)).toMatchObject({ ok: true, decisionsNotReplayable: 0 });
});
