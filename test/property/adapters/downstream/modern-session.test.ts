// A request of 2026-07-28 is answered once or, where it listens, acknowledged; nothing throws, and the gate stays open. A session that rejected
// would count as our own mistake and shut the gate for everybody.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { CallId } from '../../../../domain/ids.ts';
import type { Json, JsonObject } from '../../../../domain/json.ts';
import { METHOD_ROWS } from '../../../../proxy/method-table.ts';
import type { ToolAnswer } from '../../../../proxy/tool-server.ts';
import { ModernClient, request } from '../../../support/modern-client.ts';

const METHODS = METHOD_ROWS.filter(({ era, kind }) => era === 'modern' && kind === 'request').map(
  ({ method }) => method,
);
const NAMES = ['name', 'uri', 'taskId', 'arguments', 'ref', 'argument', 'notifications', 'cursor'];
const OF_ROUNDS = ['requestState', 'inputResponses', 'resourceSubscriptions', 'taskIds', '_meta', 'task'];
const TEXTS = ['write_file', 'secret', 'a:b', 't1', '', 'ref/prompt', '\u0000', '\u{1f600}'];

const value = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<Json>(null, true, 0, -1.5, 2 ** 53, ...TEXTS),
    fc.array(tie('json'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...NAMES, ...OF_ROUNDS, 'x'), tie('json'), { maxKeys: 4 }),
  ),
})).json as fc.Arbitrary<Json>;
const params = fc.dictionary(fc.constantFrom(...NAMES, ...OF_ROUNDS), value, {
  maxKeys: 5,
}) as fc.Arbitrary<JsonObject>;

it('whatever its client says', async () => {
  const client = await ModernClient.open();
  const extensions = { 'io.modelcontextprotocol/tasks': {} };
  let id = 0;
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...METHODS), params, async (method, given) => {
      id += 1;
      const exchange = client.begin(request(id, method, given, { extensions, elicitation: {} }));
      await exchange.done;
      expect(exchange.heard).toHaveLength(1);
      await client.begin({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } }).done;
      expect(client.world.defects).toEqual([]);
      expect(client.world.governance.reason).toBeUndefined();
    }),
    { numRuns: 600 },
  );
});

const MEMBERS = [
  'content',
  'structuredContent',
  'isError',
  'messages',
  'contents',
  'completion',
  'result',
  'status',
  'error',
];
const result = fc.dictionary(
  fc.constantFrom(...MEMBERS, ...OF_ROUNDS, 'inputRequests', 'resultType', 'taskId'),
  fc.oneof(
    value,
    fc.constantFrom<Json>([], {}, { a: { method: 'roots/list' } }, { a: { method: 'elicitation/create' } }),
  ),
  { maxKeys: 5 },
) as fc.Arbitrary<JsonObject>;
const answer: fc.Arbitrary<ToolAnswer> = fc.oneof(
  fc.record({ kind: fc.constant('result' as const), result, bytes: fc.constant(1) }),
  fc.record({
    kind: fc.constant('result' as const),
    type: fc.constantFrom('complete' as const, 'input_required' as const, 'task' as const),
    result,
    bytes: fc.constant(1),
  }),
  fc.record({
    kind: fc.constant('error' as const),
    error: fc.record({ code: fc.integer(), message: fc.constantFrom(...TEXTS), data: value }),
    bytes: fc.constant(1),
  }),
);

it('whatever its server answers', async () => {
  const client = await ModernClient.open();
  const capabilities = { extensions: { 'io.modelcontextprotocol/tasks': {} }, elicitation: {}, roots: {} };
  const calls: readonly (readonly [string, JsonObject])[] = [
    ['tools/call', { name: 'write_file', arguments: {} }],
    ['prompts/get', { name: 'greet' }],
    ['resources/read', { uri: 'a:b' }],
    ['completion/complete', { ref: { type: 'ref/prompt', name: 'greet' }, argument: { name: 'a', value: '' } }],
    ['tasks/get', { taskId: 't1' }],
    ['tasks/update', { taskId: 't1' }],
    ['tasks/cancel', { taskId: 't1' }],
  ];
  const call = '01JZ0000000000000000000000' as CallId;
  client.world.enforcement.tasks.bind({ server: 'fs', taskId: 't1', agent: 'coder', tool: 'write_file', call });
  let id = 0;
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...calls), answer, async ([method, given], said) => {
      id += 1;
      client.world.server.respond = () => said;
      const exchange = client.begin(request(id, method, given, capabilities));
      await exchange.done;
      expect(exchange.heard).toHaveLength(1);
      expect(client.world.defects).toEqual([]);
      expect(client.world.governance.reason).toBeUndefined();
    }),
    { numRuns: 600 },
  );
});
