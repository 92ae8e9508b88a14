// Schemas that servers wrote, checked in threads that can be ended: what a hostile one costs, and whom.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SchemaGuard } from '../../../adapters/json-schema/schema-guard.ts';
import { tameSize } from '../../../adapters/json-schema/tame.ts';
import type { ToolSchemas } from '../../../adapters/json-schema/tool-schemas.ts';
import { WorkerAuthority } from '../../../adapters/policy-engine/worker-authority.ts';
import type { PolicySource } from '../../../control-plane/policy/source.ts';
import type { Json, JsonObject } from '../../../domain/json.ts';
import { proves } from '../../guarantees.ts';
import { keyFile, policySource, request } from '../../support/policy.ts';

const ANY: JsonObject = { type: 'object' };
const EVIL: JsonObject = { type: 'object', properties: { text: { type: 'string', pattern: '^(a+)+$' } } };
const TRAP: Json = { text: `${'a'.repeat(40)}!` };

/** Two references, each to two references, and so on: it unfolds into a thousand million. */
function exploding(): JsonObject {
  const $defs: Record<string, JsonObject> = { d30: { type: 'string' } };
  for (let n = 0; n < 30; n++) $defs[`d${n}`] = { anyOf: [0, 1].map(() => ({ $ref: `#/$defs/d${n + 1}` })) };
  return { type: 'object', properties: { text: { $ref: '#/$defs/d0' } }, $defs };
}

const tools = new Map<string, ToolSchemas>([
  ['evil/pattern', { inputSchema: EVIL, outputSchema: EVIL }],
  ['evil/explodes', { inputSchema: ANY, outputSchema: exploding() }],
  ['evil/elsewhere', { inputSchema: ANY, outputSchema: { $ref: 'http://127.0.0.1:9/schema.json' } }],
  ['good/plain', { inputSchema: ANY, outputSchema: { type: 'object', required: ['n'] } }],
  ['good/pattern', { inputSchema: { type: 'object', properties: { id: { pattern: '^[a-z]+$' } } } }],
]);

describe('schemas in threads of their own', () => {
  let guard: SchemaGuard;
  const check = (action: string, value: Json, kind: 'input' | 'output' = 'output') =>
    guard.check(kind, action, JSON.stringify(value));

  beforeAll(async () => {
    guard = new SchemaGuard({ checkMs: 100, compileMs: 1_000, startMs: 30_000 });
    guard.serve(tools);
    expect(await check('good/plain', { n: 1 })).toBeUndefined();
  });
  afterAll(() => guard.close());

  it.each<[string, 'input' | 'output', string, Json]>([
    ['an output schema with a pattern that goes back and forth', 'output', 'evil/pattern', TRAP],
    ['an input schema with one', 'input', 'evil/pattern', TRAP],
    ['a schema that explodes', 'output', 'evil/explodes', { text: 1 }],
  ])('%s is denied, and what waits behind it is checked', async (_what, kind, action, value) => {
    const evil = check(action, value, kind);
    const behind = check('good/plain', {});
    expect(await evil).toMatchObject({
      code: kind === 'input' ? 'ARG_INVALID' : 'OUTPUT_INVALID',
      detail: expect.stringContaining('took more than'),
    });
    expect(await behind).toMatchObject({ code: 'OUTPUT_INVALID', detail: expect.stringContaining('required') });
  });

  it('a server that held up others once holds up only its like', async () => {
    const order: string[] = [];
    await check('evil/pattern', TRAP);
    await Promise.all([
      check('evil/pattern', TRAP).then(() => order.push('evil')),
      check('good/plain', { n: 1 }).then(() => order.push('good')),
    ]);
    expect(order).toEqual(['good', 'evil']);
  });

  it('a reference to elsewhere is not followed, and what nobody has a schema for fits nothing', async () => {
    expect(await check('evil/elsewhere', {})).toMatchObject({ code: 'OUTPUT_INVALID' });
    expect(await check('good/missing', {})).toMatchObject({ code: 'OUTPUT_INVALID' });
  });

  it('after its end everything is denied', async () => {
    const ended = new SchemaGuard();
    ended.serve(tools);
    const open = ended.check('output', 'good/plain', '{"n":1}');
    await ended.close();
    expect(await open).toMatchObject({ code: 'OUTPUT_INVALID' });
    expect(await ended.check('output', 'good/plain', '{"n":1}')).toMatchObject({ code: 'OUTPUT_INVALID' });
  });
});

describe('a tame schema', () => {
  it.each<[JsonObject, boolean]>([
    [{ type: 'object', properties: { a: { anyOf: [{ type: 'string' }, { type: 'null' }] } } }, true],
    [{ type: 'object', properties: { a: { items: { pattern: 'x' } } } }, false],
    [{ patternProperties: {} }, false],
    [{ items: { uniqueItems: true } }, false],
    [exploding(), false],
    [{ enum: Array.from({ length: 600 }, (_, n) => n) }, false],
  ])('%#: neither goes back and forth nor unfolds', (schema, tame) => {
    expect(tameSize(schema) !== undefined).toBe(tame);
  });
});

describe('the deciding side', () => {
  const key = keyFile();
  let authority: WorkerAuthority;

  /** The filesystem server of every test, with a tool whose arguments are checked with a hostile pattern. */
  function withEvilInput(): PolicySource {
    const source = policySource();
    const tools = source.tools.map((server) => ({
      ...server,
      tools: server.tools.map((tool) => {
        if (tool.name !== 'read_text_file') return tool;
        const properties = {
          ...(tool.inputSchema.properties as JsonObject),
          tail: { type: 'string', pattern: '^(a+)+$' },
        };
        return { ...tool, inputSchema: { ...tool.inputSchema, properties } };
      }),
    }));
    return { ...source, tools };
  }

  beforeAll(async () => {
    authority = new WorkerAuthority({ keyFile: key.file, instance: 'test', gateway: 'gw' });
    expect(await authority.install(withEvilInput())).toMatchObject({ ok: true });
  });
  afterAll(async () => {
    await authority.close();
    key.remove();
  });

  proves(
    'G4',
    'goes on deciding while arguments are held against a pattern that never ends, and denies those',
    async () => {
      const order: string[] = [];
      const evil = authority
        .authorize(request('read_text_file', { path: '/srv/ws/a', tail: `${'a'.repeat(40)}!` }))
        .then((answer) => {
          order.push('evil');
          return answer;
        });
      const good = authority.authorize(request('write_file', { path: '/srv/ws/a', content: 'x' })).then((answer) => {
        order.push('good');
        return answer;
      });
      expect(await good).toMatchObject({ decision: 'allow' });
      expect(await evil).toMatchObject({ decision: 'deny', code: 'ARG_INVALID', policy: expect.any(String) });
      expect(order).toEqual(['good', 'evil']);
      // The thread that decides is the one that it was.
      expect(await authority.authorize(request('read_text_file', { path: '/srv/ws/a', tail: 'aa' }))).toMatchObject({
        decision: 'allow',
      });
      expect(await authority.authorize(request('read_text_file', { path: '/srv/ws/a', tail: 'b' }))).toMatchObject({
        code: 'ARG_INVALID',
      });
    },
  );
});
