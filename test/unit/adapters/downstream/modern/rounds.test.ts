// Calls that a later request goes on with: at a server that asks in its answer, and at one that asks in the middle and is held meanwhile. The
// state in the client's hands is good for that client, that request, that round and once.

import { afterEach, describe, expect, it } from 'vitest';
import { type DenialCode, rpcCode } from '../../../../../domain/denial.ts';
import type { CallId } from '../../../../../domain/ids.ts';
import type { JsonObject } from '../../../../../domain/json.ts';
import {
  CALLS_IN_FLIGHT_PER_SESSION_MAX,
  HELD_CALL_MS,
  HELD_CALLS_PER_PRINCIPAL_MAX,
  HELD_ROUNDS_MAX,
  REQUEST_STATE_MS,
} from '../../../../../proxy/limits.ts';
import type { QuestionAnswer, ToolAnswer } from '../../../../../proxy/tool-server.ts';
import { proves } from '../../../../guarantees.ts';
import { chainFindings } from '../../../../support/audited.ts';
import { commitmentOf } from '../../../../support/commitments.ts';
import { PRINCIPAL, resultOf, settled, type World } from '../../../../support/gate-world.ts';
import { until } from '../../../../support/legacy-client.ts';
import { type Exchange, ModernClient, request } from '../../../../support/modern-client.ts';

const FORM = {
  method: 'elicitation/create',
  params: { message: 'Who?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } },
};
const ABLE = { elicitation: {} };
const ACCEPTED = { action: 'accept', content: { name: 'Ada' } };
const clients: ModernClient[] = [];

async function opened(): Promise<ModernClient> {
  const client = await ModernClient.open();
  clients.push(client);
  return client;
}

afterEach(() => {
  for (const { faults, world } of clients.splice(0)) {
    expect(faults).toEqual([]);
    expect(world.defects).toEqual([]);
    expect(chainFindings(world.entries())).toEqual([]);
  }
});

describe('a server that asks in its answer', () => {
  const asks: ToolAnswer = {
    kind: 'result',
    type: 'input_required',
    result: { inputRequests: { who: FORM }, requestState: 'theirs' },
    bytes: 10,
  };
  const begun = async (): Promise<{ client: ModernClient; state: string }> => {
    const client = await opened();
    client.world.server.respond = ({ body }) => (body.includes('theirs') ? resultOf('hello') : asks);
    const { message } = await client.call({}, ABLE);
    expect(message.result).toMatchObject({ resultType: 'input_required', inputRequests: { who: FORM } });
    return { client, state: String(message.result?.requestState) };
  };
  const retry = (state: unknown, responses: unknown = { who: ACCEPTED }): JsonObject =>
    ({ requestState: state, inputResponses: responses }) as JsonObject;

  it('its own state does not leave the gate', async () => {
    const { state } = await begun();
    expect(state).not.toContain('theirs');
    expect(Buffer.from(state, 'base64url').toString('latin1')).not.toContain('theirs');
  });

  it.each([
    ['a state that was changed', (state: string) => retry(`${state}-TAMPERED`)],
    [
      'a state with another last character',
      (state: string) => retry(state.replace(/.$/, (c) => (c === 'A' ? 'B' : 'A'))),
    ],
    ['the state of nobody', () => retry('theirs')],
    ['an empty state', () => retry('')],
    ['a state that is no text', () => retry(7)],
    ['an answer that is no object', (state: string) => retry(state, { who: 12 })],
    ['answers that are no object', (state: string) => retry(state, null)],
    ['an answer that its question cannot have', (state: string) => retry(state, { who: { roots: [] } })],
    ['other arguments', (state: string) => ({ ...retry(state), arguments: { path: '/other' } })],
    ['another tool', (state: string) => ({ ...retry(state), name: 'read_file' })],
  ])('%s: -32602, recorded, and the tool hears nothing', async (_name, more) => {
    const { client, state } = await begun();
    const { message } = await client.call(more(state), ABLE, 2);
    expect(message).toMatchObject({ id: 2, error: { code: -32602 } });
    expect(client.denials()).toHaveLength(1);
    expect(client.world.server.heard).toHaveLength(1);
  });

  it.each([
    ['agent', { ...PRINCIPAL, agent: 'other' }],
    ['connection', { ...PRINCIPAL, connection: commitmentOf('another connection') }],
    ['role', { ...PRINCIPAL, roles: [] }],
    ['proof', { ...PRINCIPAL, proofKey: 'thumbprint' }],
  ])('the state of another %s is refused', async (_name, principal) => {
    const { client, state } = await begun();
    const other = new ModernClient(client.world, { principal, rounds: client.rounds });
    expect((await other.call(retry(state), ABLE)).message).toMatchObject({ error: { code: -32602 } });
    expect(client.denials()).toEqual(['REQUEST_STATE_INVALID']);
  });

  it('the state of another view is refused', async () => {
    const { client, state } = await begun();
    const other = new ModernClient(client.world, { view: { kind: 'all' }, rounds: client.rounds });
    const { message } = await other.call({ ...retry(state), name: 'fs__write_file' }, ABLE);
    expect(message).toMatchObject({ error: { code: -32602 } });
    expect(client.denials()).toEqual(['REQUEST_STATE_INVALID']);
  });

  it('a state that is brought twice at once goes on once, and the other time is recorded', async () => {
    const { client, state } = await begun();
    const both = await Promise.all([client.call(retry(state), ABLE, 2), client.call(retry(state), ABLE, 3)]);
    expect(both.filter(({ message }) => message.result !== undefined)).toHaveLength(1);
    expect(client.world.server.heard).toHaveLength(2);
    expect(client.denials()).toEqual(['REQUEST_STATE_INVALID']);
  });

  proves('G4', 'each round is decided anew', async () => {
    const { client, state } = await begun();
    client.world.authority.decide = async () => ({ decision: 'deny', code: 'POLICY_NO_PERMIT', by: [] });
    expect((await client.call(retry(state), ABLE, 2)).message.result).toMatchObject({ isError: true });
    expect(client.world.server.heard).toHaveLength(1);
  });

  proves('G1', 'each round is an execution with an intent and an ending of its own', async () => {
    const { client, state } = await begun();
    await client.call(retry(state), ABLE, 2);
    const rounds = client.world
      .entries()
      .filter(({ type, events }) => type === 'call.intent' && JSON.stringify(events).includes('"tool":"write_file"'));
    expect(new Set(rounds.map(({ call }) => call)).size).toBe(2);
    for (const { call } of rounds)
      expect(client.world.entriesOf(call as CallId).map(({ type }) => type)).toEqual(['call.intent', 'call.ending']);
  });

  /** Where each execution of the tool stood, and what it went on with. */
  const placesOf = (client: ModernClient): JsonObject[] =>
    client.world.entries().flatMap(({ type, events }) => {
      const [requested] = (events ?? []) as unknown as JsonObject[];
      if (type !== 'call.intent' || requested?.tool !== 'write_file') return [];
      return [{ call: requested.call, lineage: requested.lineage, relation: requested.relation } as JsonObject];
    });

  proves('G11', 'all rounds stand under the root of the first, and say what they go on with', async () => {
    const { client, state } = await begun();
    await client.call(retry(state), ABLE, 2);
    const [first, second] = placesOf(client);
    expect(first).toMatchObject({ lineage: { root: first?.call, parent: null, depth: 0 } });
    expect(second).toMatchObject({
      lineage: { root: first?.call, node: second?.call, parent: null, depth: 0 },
      relation: { kind: 'continues', call: first?.call },
    });
  });

  proves('G11', 'what a question asks within a call stands where the call stands', async () => {
    const { client } = await begun();
    const [{ call: root } = {}] = placesOf(client);
    const asked = client.world.entries().flatMap(({ events }) => {
      const [requested] = (events ?? []) as unknown as JsonObject[];
      return requested?.method === 'elicitation/create' ? [requested.lineage] : [];
    });
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ root, parent: null, depth: 0 } as object);
  });

  it.each(['root', 'node'] as const)('a chain whose %s was revoked meanwhile does not go on', async (kind) => {
    const { client, state } = await begun();
    const [{ call = '' } = {}] = placesOf(client);
    client.world.revocations.apply({ number: 1, kind, id: String(call), at: 1 });
    client.world.governance.noteRevocation(1);
    await client.call(retry(state), ABLE, 2);
    expect(client.world.server.heard).toHaveLength(1);
    expect(client.denials()).toEqual([kind === 'root' ? 'REVOKED_ROOT' : 'LINEAGE_REVOKED']);
  });

  proves('G11', 'a later round hands on no more than the first', async () => {
    const SCOPE = 'dev.portcullis/scope';
    const less = [{ server: 'fs', actions: ['read_file'], under: { '/path': ['/w'] } }];
    const more = [{ server: 'fs', actions: ['read_file'] }];
    const client = await opened();
    client.world.server.respond = ({ body }) => (body.includes('theirs') ? resultOf('hello') : asks);
    const params = { name: 'write_file', arguments: { path: '/w' } };
    const say = (more: JsonObject, meta: JsonObject) =>
      client.say(request(1, 'tools/call', { ...params, ...more }, ABLE, meta));
    const begin = async () => String((await say({}, { [SCOPE]: less })).message.result?.requestState);
    await say(retry(await begin()), {});
    expect(placesOf(client).at(-1)).toMatchObject({ lineage: { narrowed: less } });
    await say(retry(await begin()), { [SCOPE]: more });
    expect(client.denials()).toEqual(['LINEAGE_SCOPE_WIDENING']);
  });

  it('where there is no room the state stays good for another try', async () => {
    const { client, state } = await begun();
    client.world.server.respond = () => undefined;
    const asked = (id: number) => request(id, 'tools/call', { name: 'write_file', arguments: { path: '/w' } }, ABLE);
    const others = Array.from({ length: CALLS_IN_FLIGHT_PER_SESSION_MAX }, (_, id) => client.begin(asked(1_000 + id)));
    await settled();
    for (const more of [{}, retry(state)]) {
      const { message } = await client.call(more, ABLE, 2);
      expect(message).toMatchObject({ error: { code: rpcCode('OVERLOADED') } });
    }
    expect(client.denials()).toEqual(['OVERLOADED', 'OVERLOADED']);
    await until(() => client.world.server.heard.length === 1 + others.length);
    for (const { answer } of client.world.server.heard.slice(1)) answer(resultOf('x'));
    await Promise.all(others.map(({ done }) => done));
    client.world.server.respond = () => resultOf('hello');
    expect((await client.call(retry(state), ABLE, 3)).message.result).toMatchObject({ resultType: 'complete' });
  });

  it('a state of an earlier run of the gate is refused', async () => {
    const { client, state } = await begun();
    const later = new ModernClient(client.world);
    expect((await later.call(retry(state), ABLE)).message).toMatchObject({ error: { code: -32602 } });
  });

  it('a state that is too old is refused', async () => {
    const { client, state } = await begun();
    client.world.clock.advance(REQUEST_STATE_MS);
    expect((await client.call(retry(state), ABLE)).message).toMatchObject({ error: { code: -32602 } });
  });

  it('goes on as a new execution, once, with the state of the server and the answers that were asked for', async () => {
    const { client, state } = await begun();
    const { message } = await client.call(retry(state, { who: ACCEPTED, more: ACCEPTED }), ABLE, 2);
    expect(message.result).toMatchObject({ resultType: 'complete', content: [{ text: 'hello' }] });
    const { body } = client.world.server.heard[1]?.dispatch ?? {};
    expect(JSON.parse(body ?? '')).toMatchObject({ requestState: 'theirs', inputResponses: { who: ACCEPTED } });
    expect(body).not.toContain('more');
    const relations = client.world
      .entries()
      .flatMap(({ events }) => (events ?? []) as { relation?: { kind: string } }[]);
    expect(relations.some(({ relation }) => relation?.kind === 'continues')).toBe(true);
    expect((await client.call(retry(state), ABLE, 3)).message).toMatchObject({ error: { code: -32602 } });
  });

  it('answers that nobody asked for are not passed on', async () => {
    const client = await opened();
    await client.call({ inputResponses: { who: ACCEPTED } }, ABLE);
    expect(client.world.server.heard[0]?.dispatch.body).not.toContain('Ada');
  });

  it('a client that cannot be asked is told what it would need', async () => {
    const client = await opened();
    client.world.server.respond = () => asks;
    const { message, status } = await client.call();
    expect(message).toMatchObject({
      error: { code: -32021, data: { requiredCapabilities: { elicitation: { form: {} } } } },
    });
    expect(status).toBe(400);
  });

  it('a question that no rule allows withholds the answer', async () => {
    const client = await opened();
    client.world.server.respond = () => asks;
    client.world.authority.decide = async (asked) =>
      asked.method === 'tools/call'
        ? client.world.allow(asked)
        : { decision: 'deny', code: 'POLICY_NO_PERMIT', by: [] };
    const { message } = await client.call({}, ABLE);
    expect(message.result).toMatchObject({ isError: true });
    expect(JSON.stringify(message)).not.toContain('Who?');
    expect(client.denials()).toContain('POLICY_NO_PERMIT');
  });

  it('goes round so often and not more', async () => {
    const client = await opened();
    client.world.server.respond = () => asks;
    let { message } = await client.call({}, ABLE);
    let rounds = 1;
    while (message.result !== undefined && rounds < 100) {
      ({ message } = await client.call(retry(message.result.requestState), ABLE, rounds));
      rounds += 1;
    }
    expect(rounds).toBe(8);
    expect(message).toHaveProperty('error');
  });
});

describe('a server that asks in the middle', () => {
  /** A call whose server has asked, and the way to hear what it is told. */
  const begun = async (): Promise<{
    client: ModernClient;
    state: string;
    key: string;
    told: Promise<QuestionAnswer>;
  }> => {
    const client = await opened();
    client.world.server.respond = () => undefined;
    const exchange = client.begin(request(1, 'tools/call', { name: 'write_file', arguments: { path: '/w' } }, ABLE));
    await settled();
    const told = client.world.server.heard.at(-1)?.hooks.ask(FORM).answer as Promise<QuestionAnswer>;
    await exchange.done;
    const { result } = exchange.last().message;
    expect(result).toMatchObject({ resultType: 'input_required' });
    const [key = ''] = Object.keys(result?.inputRequests ?? {});
    expect(result?.inputRequests).toEqual({ [key]: FORM });
    return { client, state: String(result?.requestState), key, told };
  };
  const retry = (client: ModernClient, state: string, inputResponses: JsonObject, id = 2): Exchange =>
    client.begin(
      request(
        id,
        'tools/call',
        { name: 'write_file', arguments: { path: '/w' }, requestState: state, inputResponses },
        ABLE,
      ),
    );

  it('goes on with the same call when the answer comes', async () => {
    const { client, state, key, told } = await begun();
    const exchange = retry(client, state, { [key]: ACCEPTED });
    expect(await told).toMatchObject({ kind: 'result', result: ACCEPTED });
    client.world.server.heard[0]?.answer(resultOf('hello Ada'));
    await exchange.done;
    expect(exchange.last().message.result).toMatchObject({ resultType: 'complete', content: [{ text: 'hello Ada' }] });
    expect(client.world.server.heard).toHaveLength(1);
  });

  it('asks again for what was not answered, and takes no state twice', async () => {
    const { client, state } = await begun();
    const again = retry(client, state, {});
    await again.done;
    expect(again.last().message.result).toMatchObject({ resultType: 'input_required' });
    const twice = retry(client, state, {}, 3);
    await twice.done;
    expect(twice.last().message).toMatchObject({ error: { code: -32602 } });
  });

  it('an answer that its question cannot have is refused and may be tried again', async () => {
    const { client, state, key, told } = await begun();
    const wrong = retry(client, state, { [key]: { roots: [] } });
    await wrong.done;
    expect(wrong.last().message).toMatchObject({ error: { code: -32602 } });
    const right = retry(client, state, { [key]: ACCEPTED }, 3);
    expect(await told).toMatchObject({ kind: 'result' });
    client.world.server.heard[0]?.answer(resultOf('x'));
    await right.done;
  });

  proves('G4', 'while the gate is shut no answer goes to the server; the call waits until it opens again', async () => {
    const { client, state, key, told } = await begun();
    client.world.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'gone');
    const shut = retry(client, state, { [key]: ACCEPTED });
    await shut.done;
    expect(shut.last().message).toHaveProperty('error');
    expect(client.denials()).toEqual(['POLICY_ENGINE_FAULT']);
    client.world.governance.open('engine');
    const open = retry(client, state, { [key]: ACCEPTED }, 3);
    expect(await told).toMatchObject({ kind: 'result', result: ACCEPTED });
    client.world.server.heard[0]?.answer(resultOf('x'));
    await open.done;
    expect(open.last().message).toHaveProperty('result');
  });

  const overtaken: [string, DenialCode, (world: World) => void][] = [
    ['the rules changed', 'GOV_EPOCH_MISMATCH', ({ governance }) => governance.advanceEpoch()],
    ['something was revoked', 'GOV_REVOCATION_BEHIND', (world) => world.revoke('agent', 'somebody')],
  ];
  for (const [what, code, change] of overtaken) {
    proves('G4', `where ${what} since it was asked, the answer goes nowhere and the call ends`, async () => {
      const { client, state, key, told } = await begun();
      change(client.world);
      const late = retry(client, state, { [key]: ACCEPTED });
      await late.done;
      expect(late.last().message.result).toMatchObject({ isError: true });
      expect(JSON.stringify(late.last().message)).toContain(code);
      expect(await told).toMatchObject({ kind: 'error' });
      expect(client.world.server.heard[0]?.cancelled).toBe(code);
      const endings = client.world.entries().filter(({ type }) => type === 'call.ending');
      expect(endings.map(({ outcome }) => outcome)).toContainEqual({ status: 'aborted', dispatched: true, code });
    });
  }

  it('an answer that is larger than any may be does not reach the server, and is recorded as what it is', async () => {
    const { client, state, key, told } = await begun();
    const content = { name: 'x'.repeat(70_000) };
    const large = retry(client, state, { [key]: { action: 'accept', content } });
    expect(await told).toMatchObject({ kind: 'error', error: { code: rpcCode('OUTPUT_TOO_LARGE') } });
    client.world.server.heard[0]?.answer(resultOf('without it'));
    await large.done;
    const outcomes = client.world.entries().map(({ outcome }) => outcome);
    expect(outcomes).toContainEqual({ status: 'withheld', dispatched: true, code: 'OUTPUT_TOO_LARGE' });
  });

  it('a client that comes back able to less is not asked what it cannot be asked', async () => {
    const { client, state } = await begun();
    const params = { name: 'write_file', arguments: { path: '/w' }, requestState: state };
    const { message } = await client.say(request(2, 'tools/call', params));
    expect(message).toMatchObject({ error: { code: -32021, data: { requiredCapabilities: { elicitation: {} } } } });
    expect(JSON.stringify(message)).not.toContain('Who?');
    expect(client.world.server.heard[0]?.cancelled).toBeDefined();
  });

  it('a client that comes back and never answers is asked so often and not more', async () => {
    const { client, state: first } = await begun();
    let state: unknown = first;
    let rounds = 1;
    for (; state !== undefined && rounds < 100; rounds += 1) {
      const again = retry(client, String(state), {}, rounds);
      await again.done;
      state = again.last().message.result?.requestState;
    }
    expect(rounds).toBe(HELD_ROUNDS_MAX);
    expect(client.world.server.heard[0]?.cancelled).toBeDefined();
  });

  it('a call that is brought back twice at once goes on once', async () => {
    const { client, state, key, told } = await begun();
    const both = [retry(client, state, { [key]: ACCEPTED }), retry(client, state, { [key]: ACCEPTED }, 3)];
    await told;
    client.world.server.heard[0]?.answer(resultOf('x'));
    await Promise.all(both.map(({ done }) => done));
    expect(both.map((one) => one.last().message.result !== undefined)).toEqual([true, false]);
  });

  it('puts all that is asked in one moment to the client in one round', async () => {
    const client = await opened();
    client.world.server.respond = () => undefined;
    const sampling = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } };
    const roots = { method: 'roots/list', params: {} };
    const able = { ...ABLE, sampling: {}, roots: {} };
    const asked = request(1, 'tools/call', { name: 'write_file', arguments: { path: '/w' } }, able);
    const exchange = client.begin(asked);
    await settled();
    const { hooks } = client.world.server.heard[0] ?? {};
    hooks?.ask(FORM);
    // Two more, while the first one is being decided and when it waits for the client already.
    hooks?.ask(sampling);
    await settled();
    hooks?.ask(roots);
    await exchange.done;
    const { inputRequests } = exchange.last().message.result ?? {};
    expect(Object.values(inputRequests ?? {})).toEqual([FORM, sampling, roots]);
  });

  const ending = (text: string, isError: boolean): ToolAnswer => ({
    kind: 'result',
    result: { content: [{ type: 'text', text }], isError },
    bytes: text.length,
  });
  const failures: [string, ToolAnswer][] = [
    ['in its result', ending('nobody to ask', true)],
    ['with an error', { kind: 'error', error: { code: -32603, message: 'nobody to ask' }, bytes: 10 }],
  ];
  it.each(failures)('a call that fails %s after a client could not be asked says what it needs', async (_name, end) => {
    const client = await opened();
    client.world.server.respond = () => undefined;
    const exchange = client.begin(request(1, 'tools/call', { name: 'write_file', arguments: { path: '/w' } }));
    await settled();
    const { hooks, answer } = client.world.server.heard[0] ?? {};
    expect(await hooks?.ask(FORM).answer).toMatchObject({ kind: 'error' });
    answer?.(end);
    await exchange.done;
    const { message, status } = exchange.last();
    const data = { requiredCapabilities: { elicitation: { form: {} } } };
    expect(message.error).toMatchObject({ code: -32021, message: 'nobody to ask', data });
    expect(message.error?.data).toHaveProperty(['dev.portcullis/receipt']);
    expect(status).toBe(400);
  });

  it.each([
    ['goes on without', FORM, false],
    ['fails after it asked for roots only', { method: 'roots/list', params: {} }, true],
  ])('a call that %s keeps its own result', async (_name, question, isError) => {
    const client = await opened();
    client.world.server.respond = () => undefined;
    const exchange = client.begin(request(1, 'tools/call', { name: 'write_file', arguments: { path: '/w' } }));
    await settled();
    const { hooks, answer } = client.world.server.heard[0] ?? {};
    await hooks?.ask(question).answer;
    answer?.(ending('x', isError));
    await exchange.done;
    expect(exchange.last().message.result).toMatchObject({ isError, resultType: 'complete' });
  });

  it('is cancelled when nobody comes back', async () => {
    const { client, state, key } = await begun();
    client.world.clock.advance(HELD_CALL_MS);
    expect(client.world.server.heard[0]?.cancelled).toBe('CANCELLED');
    await settled();
    client.world.server.heard[0]?.answer({ kind: 'lost', detail: 'cancelled' });
    await settled();
    const late = retry(client, state, { [key]: ACCEPTED });
    await late.done;
    expect(late.last().message).toMatchObject({ error: { code: -32602 } });
  });

  it('is ended and recorded when the gate shuts down', async () => {
    const { client } = await begun();
    const closing = client.session.close('shutdown');
    await settled();
    client.world.server.heard[0]?.answer({ kind: 'lost', detail: 'cancelled' });
    await closing;
    const endings = client.world.entries().filter(({ type }) => type === 'call.ending');
    expect(endings.length).toBeGreaterThanOrEqual(1);
  });

  it('so many are held for one agent and no more', async () => {
    const client = await opened();
    client.world.server.respond = () => undefined;
    const held: Exchange[] = [];
    for (let call = 0; call <= HELD_CALLS_PER_PRINCIPAL_MAX; call++) {
      const asked = request(call, 'tools/call', { name: 'write_file', arguments: { path: '/w' } }, ABLE);
      held.push(client.begin(asked));
      await settled();
      client.world.server.heard.at(-1)?.hooks.ask(FORM);
      await held.at(-1)?.done;
    }
    expect(held.at(-2)?.last().message).toHaveProperty('result');
    expect(held.at(-1)?.last().message).toHaveProperty('error');
  });
});
