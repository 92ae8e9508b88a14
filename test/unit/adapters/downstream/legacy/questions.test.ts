// A server asks the client within a call: whatever may not be asked or answered goes nowhere and is recorded, and what may be is an execution
// of its own, with a permit, an intent and an ending.

import { describe, expect, it } from 'vitest';
import type { Authorization, AuthorizationRequest } from '../../../../../control-plane/authorization.ts';
import type { RevocationKind } from '../../../../../control-plane/permits/revocations.ts';
import { actionId } from '../../../../../domain/action.ts';
import { type DenialCode, rpcCode } from '../../../../../domain/denial.ts';
import type { Entry } from '../../../../../domain/entry.ts';
import type { CallId } from '../../../../../domain/ids.ts';
import type { JsonObject } from '../../../../../domain/json.ts';
import { Enforcement } from '../../../../../proxy/enforcement.ts';
import { QUESTIONS_AT_ONCE_PER_SESSION_MAX, QUESTIONS_PER_CALL_MAX } from '../../../../../proxy/limits.ts';
import type { Question, QuestionAnswer } from '../../../../../proxy/tool-server.ts';
import { proves } from '../../../../guarantees.ts';
import { LIMITS, resultOf, settled, World } from '../../../../support/gate-world.ts';
import { EVERYTHING, LegacyClient, questionsIn, until } from '../../../../support/legacy-client.ts';

const FORM = {
  mode: 'form',
  message: 'Which colour?',
  requestedSchema: {
    type: 'object',
    properties: { colour: { type: 'string', enum: ['red', 'blue'] }, count: { type: 'integer', minimum: 1 } },
    required: ['colour'],
  },
} satisfies JsonObject;
const ELICITATION: Question = { method: 'elicitation/create', params: FORM };
const ROOTS: Question = { method: 'roots/list', params: {} };
const SAMPLING: Question = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } };

/** As clients answer themselves to what they did not declare. */
const cannot = ({ method }: Question) => ({
  kind: 'error',
  error: { code: method === 'elicitation/create' ? -32602 : -32601, message: 'the client cannot be asked' },
});

function urlQuestion(url: string | undefined): Question {
  const params = { mode: 'url', message: 'm', elicitationId: '1' };
  return { method: 'elicitation/create', params: url === undefined ? params : { ...params, url } };
}

/** Puts a question within a new call and waits until the client has it. */
async function asked(client: LegacyClient, question: Question = ELICITATION) {
  const call = await client.call();
  const asking = client.atServer.hooks.ask(question);
  await until(() => questionsIn(call).length === 1);
  const [put] = questionsIn(call);
  const answered = async (answer: JsonObject): Promise<QuestionAnswer> => {
    await client.say({ id: put?.id ?? 0, ...answer }).done;
    return asking.answer;
  };
  return { call, asking, answered, put };
}

function decideQuestions(client: LegacyClient, decide: (request: AuthorizationRequest) => Authorization): void {
  const { authority } = client.world;
  const usual = authority.decide;
  authority.decide = async (request) => (request.method === 'tools/call' ? usual(request) : decide(request));
}

describe('a question with a URL', () => {
  it.each(['https://a.example/x?y=1#z', 'http://localhost:8080/', 'http://127.0.0.1/', 'http://[::1]:9/'])(
    'is put: %s',
    async (url) => {
      const client = await LegacyClient.open();
      const { put, answered } = await asked(client, urlQuestion(url));
      expect(put?.params).toMatchObject({ url });
      expect(await answered({ result: { action: 'accept' } })).toMatchObject({ kind: 'result' });
    },
  );
});

describe('an answer that comes when it may not go on any more', () => {
  const since: readonly (readonly [string, DenialCode, (world: World) => void])[] = [
    ['the rules changed', 'GOV_EPOCH_MISMATCH', ({ governance }) => governance.advanceEpoch()],
    ['something was revoked', 'GOV_REVOCATION_BEHIND', (world) => world.revoke('agent', 'somebody')],
    [
      'the gate fell shut',
      'POLICY_ENGINE_FAULT',
      ({ governance }) => governance.shut('engine', 'POLICY_ENGINE_FAULT', ''),
    ],
  ];
  for (const [what, code, change] of since) {
    proves('G4', `${what} since it was asked: the server hears an error, and it is recorded as withheld`, async () => {
      const client = await LegacyClient.open();
      const { call, answered } = await asked(client);
      change(client.world);
      const answer = await answered({ result: { action: 'accept', content: { colour: 'red' } } });
      expect(answer).toMatchObject({ kind: 'error', error: { code: rpcCode(code) } });
      expect(JSON.stringify(answer)).not.toContain('red');
      const outcomes = client.world.entries().map(({ outcome }) => outcome);
      expect(outcomes).toContainEqual({ status: 'withheld', dispatched: true, code });
      client.atServer.answer(resultOf('done'));
      await call.done;
    });
  }
});

describe('a question that is out when its authority is taken away', () => {
  const taken: readonly (readonly [RevocationKind, (question: Entry) => unknown])[] = [
    ['tool', () => actionId('elicitation/create', 'fs', 'elicitation/create')],
    ['node', ({ call }) => call],
    ['root', ({ events }) => (events as { lineage: { root: string } }[])[0]?.lineage.root],
    ['agent', ({ events }) => (events as { principal: { agent: string } }[])[0]?.principal.agent],
    ['server', () => 'fs'],
  ];
  for (const [kind, idOf] of taken) {
    proves('G12', `with its ${kind}: it is withdrawn, and recorded`, async () => {
      const client = await LegacyClient.open();
      const { world } = client;
      const { call, asking } = await asked(client);
      const question = world.entries().findLast(({ type }) => type === 'call.intent');
      if (question === undefined) throw new Error('it was not put');
      expect(await world.enforcement.revoke(kind, String(idOf(question)))).toBeGreaterThan(0);
      expect(await asking.answer).toMatchObject({ kind: 'error' });
      expect(call.heard).toContainEqual(expect.objectContaining({ method: 'notifications/cancelled' }));
      const ending = world.entries().find((one) => one.type === 'call.ending' && one.call === question.call);
      expect(ending?.outcome).toMatchObject({ status: 'aborted', code: 'AUTHORITY_WITHDRAWN' });
      client.atServer.answer(resultOf('done'));
      await call.done;
    });
  }
});

describe('a question that is not put', () => {
  const UNABLE: readonly (readonly [string, JsonObject, Question])[] = [
    ['no capability', {}, ELICITATION],
    ['no sampling', { elicitation: {} }, SAMPLING],
    ['no tools in sampling', { sampling: {} }, { ...SAMPLING, params: { ...SAMPLING.params, tools: [] } }],
    ['no roots', { sampling: {} }, ROOTS],
    ['forms only', { elicitation: {} }, { method: 'elicitation/create', params: { mode: 'url', message: 'm' } }],
    ['URLs only', { elicitation: { url: {} } }, ELICITATION],
    ['a URL that is missing', EVERYTHING, urlQuestion(undefined)],
    ['a URL that is none', EVERYTHING, urlQuestion('//a.example')],
    ['a URL of another scheme', EVERYTHING, urlQuestion('file:///etc/passwd')],
    ['a URL that is a program', EVERYTHING, urlQuestion('javascript:alert(1)')],
    ['a URL that anybody on the way can read', EVERYTHING, urlQuestion('http://a.example/')],
    ['a URL that looks like another', EVERYTHING, urlQuestion('https://bank.example@evil.example/')],
    ['a method that nobody can be asked', EVERYTHING, { method: 'tools/call', params: {} }],
    ['the name of a member of every object', EVERYTHING, { method: 'constructor', params: {} }],
  ];
  for (const [what, capabilities, question] of UNABLE) {
    proves('G4', `${what}: the server hears an error, the client nothing, and it is recorded`, async () => {
      const client = await LegacyClient.open(capabilities);
      const call = await client.call();
      expect(await client.atServer.hooks.ask(question).answer).toMatchObject(cannot(question));
      expect(call.heard).toEqual([]);
      const [denial] = client.denials();
      expect(denial).toMatchObject({ code: 'CLIENT_CANNOT_BE_ASKED' });
      const [requested] = (denial?.events ?? []) as { relation: unknown }[];
      expect(requested?.relation).toEqual({ kind: 'within', call: client.world.entries()[1]?.call });
    });
  }

  proves('G4', 'no rule permits it: recorded, and the client hears nothing', async () => {
    const client = await LegacyClient.open();
    decideQuestions(client, () => ({ decision: 'deny', code: 'POLICY_NO_PERMIT', by: [] }));
    const call = await client.call();
    const answer = await client.atServer.hooks.ask(ELICITATION).answer;
    expect(answer).toMatchObject({ kind: 'error', error: { code: rpcCode('POLICY_NO_PERMIT') } });
    expect(call.heard).toEqual([]);
    expect(client.denials()).toMatchObject([{ code: 'POLICY_NO_PERMIT' }]);
  });

  proves('G9', 'no rule could ever permit it: the server hears no more than that', async () => {
    const client = await LegacyClient.open();
    client.world.authority.hidden = new Set(['fs:elicitation/create']);
    client.world.governance.advanceEpoch();
    const call = await client.call();
    expect(await client.atServer.hooks.ask(ELICITATION).answer).toMatchObject({ kind: 'error' });
    expect(call.heard).toEqual([]);
    expect(client.denials()).toMatchObject([{ code: 'TOOL_UNKNOWN' }]);
  });

  proves('G1', 'its permit is refused: the client hears nothing', async () => {
    const client = await LegacyClient.open();
    decideQuestions(client, (request) => ({
      ...(client.world.allow(request) as Extract<Authorization, { decision: 'allow' }>),
      permit: 'a.b.c',
    }));
    const call = await client.call();
    expect(await client.atServer.hooks.ask(ELICITATION).answer).toMatchObject({ kind: 'error' });
    expect(call.heard).toEqual([]);
  });

  proves('G2', 'its permit is for a tool of the same server, not for the question', async () => {
    const client = await LegacyClient.open();
    decideQuestions(client, (request) => client.world.allow({ ...request, method: 'tools/call', tool: 'write_file' }));
    const call = await client.call();
    expect(await client.atServer.hooks.ask(ELICITATION).answer).toMatchObject({ kind: 'error' });
    expect(call.heard).toEqual([]);
  });

  it('too many in one call: each one beyond is refused and recorded, and the call goes on', async () => {
    const client = await LegacyClient.open({});
    const call = await client.call();
    const { hooks, answer } = client.atServer;
    for (let n = 0; n < QUESTIONS_PER_CALL_MAX; n++) await hooks.ask(ROOTS).answer;
    expect(await hooks.ask(ROOTS).answer).toMatchObject(cannot(ROOTS));
    const [requested] = (client.denials().at(-1)?.events ?? []) as { method: string }[];
    expect(requested?.method).toBe('roots/list');
    expect(client.denials()).toHaveLength(QUESTIONS_PER_CALL_MAX + 1);
    answer(resultOf('done'));
    await call.done;
    expect(call.heard).toMatchObject([{ id: 'call', result: {} }]);
  });

  proves('G4', 'too many at once: those beyond are refused and recorded, until some are answered', async () => {
    const client = await LegacyClient.open();
    const first = await client.call('first');
    const { hooks } = client.atServer;
    for (let n = 0; n < QUESTIONS_AT_ONCE_PER_SESSION_MAX; n++) hooks.ask(ROOTS);
    await until(() => questionsIn(first).length === QUESTIONS_AT_ONCE_PER_SESSION_MAX);
    const second = await client.call('second');
    const crowded = await client.atServer.hooks.ask(ROOTS).answer;
    expect(crowded).toMatchObject({ kind: 'error', error: { code: rpcCode('OVERLOADED') } });
    expect(client.denials()).toMatchObject([{ code: 'OVERLOADED' }]);
    await client.say({ id: questionsIn(first)[0]?.id ?? 0, result: { roots: [] } }).done;
    await settled();
    client.atServer.hooks.ask(ROOTS);
    await until(() => questionsIn(second).length === 1);
    await client.session.close('disconnect');
    await Promise.all([first.done, second.done]);
  });

  proves('G4', 'too many of all clients at once', async () => {
    const client = await LegacyClient.open(EVERYTHING, {
      makeEnforcement: (ports) => {
        class Full extends Enforcement {
          override hasRoomToAsk(): boolean {
            return false;
          }
        }
        return new Full(ports);
      },
    });
    const call = await client.call();
    expect(await client.atServer.hooks.ask(ROOTS).answer).toMatchObject({ error: { code: rpcCode('OVERLOADED') } });
    expect(call.heard).toEqual([]);
    client.atServer.answer(resultOf('done'));
    await call.done;
  });

  it('after the call has ended', async () => {
    const client = await LegacyClient.open();
    const call = await client.call();
    client.atServer.answer(resultOf('done'));
    await call.done;
    expect(await client.atServer.hooks.ask(ROOTS).answer).toMatchObject(cannot(ROOTS));
    expect(call.heard).toHaveLength(1);
    expect(client.denials()).toMatchObject([{ code: 'CLIENT_CANNOT_BE_ASKED' }]);
  });

  it('within an element of a batch, for which there is no place', async () => {
    const client = new LegacyClient(await World.open());
    client.world.server.respond = () => undefined;
    const hello = { protocolVersion: '2025-03-26', capabilities: EVERYTHING };
    await client.ask({ id: 'init', method: 'initialize', params: hello });
    const request = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'write_file' } };
    const heard: string[] = [];
    void client.session.receive(new TextEncoder().encode(JSON.stringify([request])), (text) => heard.push(text));
    await until(() => client.world.server.heard.length === 1);
    expect(await client.atServer.hooks.ask(ROOTS).answer).toMatchObject(cannot(ROOTS));
    expect(heard).toEqual([]);
  });
});

describe('an answer that does not count', () => {
  const MALFORMED: readonly (readonly [string, Question, JsonObject])[] = [
    ['no action', ELICITATION, {}],
    ['an action that nobody knows', ELICITATION, { action: 'yes' }],
    ['a form that is a text', ELICITATION, { action: 'accept', content: 'red' }],
    ['a form without what is required', ELICITATION, { action: 'accept', content: {} }],
    ['no form', ELICITATION, { action: 'accept' }],
    ['a choice that was not offered', ELICITATION, { action: 'accept', content: { colour: 'green' } }],
    ['a number as a text', ELICITATION, { action: 'accept', content: { colour: 'red', count: '1' } }],
    ['a number out of bounds', ELICITATION, { action: 'accept', content: { colour: 'red', count: 0 } }],
    ['a field that no form has', ELICITATION, { action: 'accept', content: { colour: 'red', more: { a: 1 } } }],
    ['a form with a refusal', ELICITATION, { action: 'decline', content: { colour: 'red' } }],
    ['a task', ELICITATION, { task: { taskId: '1' } }],
    ['a kind of result that nobody knows', ELICITATION, { action: 'cancel', resultType: 'complete' }],
    ['_meta that is no object', ELICITATION, { action: 'cancel', _meta: [] }],
    ['no roots', ROOTS, {}],
    ['a root without a URI', ROOTS, { roots: [{ name: 'x' }] }],
    ['a message without a model', SAMPLING, { role: 'assistant', content: { type: 'text', text: 'x' } }],
    ['a message without content', SAMPLING, { role: 'assistant', model: 'm' }],
  ];
  for (const [what, question, result] of MALFORMED) {
    proves('G4', `${what}: it is withheld from the server and recorded`, async () => {
      const client = await LegacyClient.open();
      const { answered } = await asked(client, question);
      expect(await answered({ result })).toMatchObject({ kind: 'error', error: { message: expect.any(String) } });
      const ending = client.entriesAbout(question.method).at(-1);
      expect(ending).toMatchObject({ type: 'call.ending' });
      expect(JSON.stringify(ending?.events)).toContain('output.refused');
    });
  }

  it.each([{ result: 7 }, { result: {}, error: {} }, { error: 'no' }, { result: {}, more: 1 }] as JsonObject[])(
    '%j is no response: the question has its answer, and no request of the client is answered in its place',
    async (response) => {
      const client = await LegacyClient.open();
      const { answered, put, call } = await asked(client);
      const { heard, done } = client.say({ id: put?.id ?? 0, ...response });
      await done;
      expect(heard).toEqual([]);
      expect(await answered({ result: { action: 'cancel' } })).toMatchObject({ kind: 'error' });
      expect(call.heard).toHaveLength(1);
    },
  );

  it('a response that cannot be read and answers nothing is told so without an id', async () => {
    const client = await LegacyClient.open();
    const told = await client.ask({ id: 5, result: 7 });
    expect(told).toMatchObject({ error: { code: -32600 } });
    expect(told).not.toHaveProperty('id');
  });

  it('too large', async () => {
    const client = await LegacyClient.open();
    const { answered } = await asked(client, ROOTS);
    const roots = [{ uri: `file:///${'x'.repeat(LIMITS.outputBytes)}` }];
    expect(await answered({ result: { roots } })).toMatchObject({
      kind: 'error',
      error: { code: rpcCode('OUTPUT_TOO_LARGE') },
    });
  });

  it('the second one: it is a response to nothing', async () => {
    const client = await LegacyClient.open();
    const { answered } = await asked(client, ROOTS);
    expect(await answered({ result: { roots: [] } })).toEqual({ kind: 'result', result: { roots: [] } });
    await answered({ result: { roots: [{ uri: 'file:///etc' }] } });
    expect(client.denials()).toMatchObject([{ code: 'MESSAGE_DIRECTION' }]);
  });

  it('of another session, under the same id', async () => {
    const client = await LegacyClient.open();
    const other = new LegacyClient(client.world);
    await other.initialize();
    const { asking, put } = await asked(client, ROOTS);
    await other.say({ id: put?.id ?? 0, result: { roots: [{ uri: 'file:///etc' }] } }).done;
    await client.say({ id: String(put?.id), result: { roots: [{ uri: 'file:///etc' }] } }).done;
    expect(client.denials()).toMatchObject([{ code: 'MESSAGE_DIRECTION' }, { code: 'MESSAGE_DIRECTION' }]);
    let isAnswered = false;
    void asking.answer.then(() => {
      isAnswered = true;
    });
    await settled();
    expect(isAnswered).toBe(false);
  });

  it('an error of the client reaches the server as it is', async () => {
    const client = await LegacyClient.open();
    const { answered } = await asked(client);
    const error = { code: -1, message: 'User rejected', data: { why: 'no' } };
    expect(await answered({ error })).toEqual({ kind: 'error', error });
  });
});

describe('a question that nobody waits for any more', () => {
  it('the call was cancelled: the client hears that it is withdrawn, and it is recorded', async () => {
    const client = await LegacyClient.open();
    const { call, asking, put } = await asked(client);
    await client.cancel('call');
    expect(await asking.answer).toMatchObject({ kind: 'error' });
    client.atServer.answer({ kind: 'lost', detail: 'cancelled' });
    await call.done;
    expect(call.heard.slice(1)).toEqual([
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: put?.id, reason: expect.any(String) } },
    ]);
    expect(client.entriesAbout('elicitation/create').map(({ type }) => type)).toEqual(['call.intent', 'call.ending']);
  });

  it('the server withdraws it', async () => {
    const client = await LegacyClient.open();
    const { call, asking } = await asked(client);
    asking.cancel('not needed');
    expect(await asking.answer).toMatchObject({ kind: 'error', error: { code: rpcCode('CANCELLED') } });
    await until(() => call.heard.length === 2);
    expect(call.heard[1]).toMatchObject({ method: 'notifications/cancelled' });
    client.atServer.answer(resultOf('done'));
    await call.done;
    expect(call.heard.at(-1)).toMatchObject({ id: 'call', result: {} });
  });

  it('the server answers first', async () => {
    const client = await LegacyClient.open();
    const { call, asking } = await asked(client);
    client.atServer.answer(resultOf('done'));
    await call.done;
    expect(await asking.answer).toMatchObject({ kind: 'error' });
    expect(call.heard).toMatchObject([{ id: 1 }, { method: 'notifications/cancelled' }, { id: 'call', result: {} }]);
  });

  it('the client goes away while it is asked, and while it is decided whether it may be', async () => {
    const client = await LegacyClient.open();
    let decide: (authorization: Authorization) => void = () => {};
    const { asking } = await asked(client);
    const usual = client.world.authority.decide;
    let pending: AuthorizationRequest | undefined;
    client.world.authority.decide = (request) => {
      pending = request;
      return new Promise((resolve) => {
        decide = resolve;
      });
    };
    const second = client.atServer.hooks.ask(ROOTS);
    await until(() => pending !== undefined);
    const closed = client.session.close('disconnect');
    decide(await usual(pending as AuthorizationRequest));
    expect(await asking.answer).toMatchObject({ kind: 'error' });
    expect(await second.answer).toMatchObject({ kind: 'error' });
    client.atServer.answer({ kind: 'lost', detail: 'cancelled' });
    await closed;
    for (const method of ['elicitation/create', 'roots/list', 'tools/call']) {
      expect(['call.ending', 'call.denial']).toContain(client.entriesAbout(method).at(-1)?.type);
    }
    expect(client.world.defects).toEqual([]);
  });
});

describe('the time of a call', () => {
  it('stands still while the client considers, and runs on afterwards', async () => {
    const client = await LegacyClient.open();
    const { clock } = client.world;
    decideQuestions(client, (request) => client.world.allow(request));
    const call = await client.call();
    clock.advance(LIMITS.timeoutMs - 1_000);
    const asking = client.atServer.hooks.ask(ROOTS);
    await until(() => questionsIn(call).length === 1);
    clock.advance(LIMITS.timeoutMs - 1_000);
    await settled();
    expect(client.atServer.cancelled).toBeUndefined();
    await client.say({ id: questionsIn(call)[0]?.id ?? 0, result: { roots: [] } }).done;
    await asking.answer;
    clock.advance(999);
    await settled();
    expect(client.atServer.cancelled).toBeUndefined();
    clock.advance(2);
    await settled();
    expect(client.atServer.cancelled).toBe('DEADLINE_EXCEEDED');
  });

  it('a question has a time of its own, after which it is withdrawn', async () => {
    const client = await LegacyClient.open();
    const { asking, call } = await asked(client, ROOTS);
    client.world.clock.advance(LIMITS.timeoutMs + 1);
    expect(await asking.answer).toMatchObject({ kind: 'error', error: { code: rpcCode('DEADLINE_EXCEEDED') } });
    expect(call.heard.at(-1)).toMatchObject({ method: 'notifications/cancelled' });
  });
});

describe('a question that is put', () => {
  proves('G1', 'it reaches the client after its intent is durable, with a permit for its method', async () => {
    const client = await LegacyClient.open();
    const { put, answered } = await asked(client);
    const durable = client.world.entries(true);
    const [outer, inner] = durable.filter(({ type }) => type === 'call.intent');
    const [requested] = (inner?.events ?? []) as { method: string; relation: unknown }[];
    expect(requested).toMatchObject({ method: 'elicitation/create', relation: { kind: 'within', call: outer?.call } });
    const allowed = ((inner?.events ?? []) as { permit?: string }[]).find(({ permit }) => permit !== undefined);
    const claims = JSON.parse(Buffer.from(allowed?.permit?.split('.')[1] ?? '', 'base64url').toString()) as {
      authorization_details: JsonObject[];
    };
    expect(claims.authorization_details[0]).toMatchObject({ method: 'elicitation/create' });
    expect(put).toMatchObject({ method: 'elicitation/create', params: FORM });
    const result = { action: 'accept', content: { colour: 'blue', count: 2 }, vendor: { kept: true } };
    expect(await answered({ result })).toEqual({ kind: 'result', result });
  });

  proves('G5', 'replay finds no difference between what was asked and what is recorded', async () => {
    const client = await LegacyClient.open();
    const { answered, call } = await asked(client);
    await answered({ result: { action: 'decline' } });
    client.atServer.answer(resultOf('done'));
    await call.done;
    const calls = new Set(
      client.world.entries().flatMap(({ call: id }) => (typeof id === 'string' ? [id as CallId] : [])),
    );
    expect(calls.size).toBe(2);
    for (const id of calls) expect(client.world.verdictOf(id)).toMatchObject({ verdict: 'match' });
  });

  proves('G6', 'every one has exactly one ending, however many are open at once', async () => {
    const client = await LegacyClient.open();
    const call = await client.call();
    const askings = Array.from({ length: 8 }, () => client.atServer.hooks.ask(ROOTS));
    await until(() => questionsIn(call).length === 8);
    for (const { id } of [...questionsIn(call)].reverse()) {
      await client.say({ id, result: { roots: [{ uri: `file:///${id}` }] } }).done;
    }
    const answers = await Promise.all(askings.map(({ answer }) => answer));
    // Whoever asked hears the answer to its own question.
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(8);
    const types = client.entriesAbout('roots/list').map(({ type }) => type);
    expect(types.filter((type) => type === 'call.ending')).toHaveLength(8);
    expect(types.filter((type) => type === 'call.intent')).toHaveLength(8);
  });

  it('carries nothing in the name of the gate, in either direction, and no wish for a task', async () => {
    const client = await LegacyClient.open();
    const ours = { 'dev.portcullis/receipt': { call: 'x' }, 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    const params = { task: { ttl: 1 }, vendor: 1, _meta: { ...ours, traceparent: '00-1' } };
    const { put, answered } = await asked(client, { method: 'roots/list', params });
    expect(put?.params).toEqual({ vendor: 1, _meta: { traceparent: '00-1' } });
    const answer = await answered({ result: { roots: [], _meta: { ...ours, vendor: 1 } } });
    expect(answer).toEqual({ kind: 'result', result: { roots: [], _meta: { vendor: 1 } } });
  });

  it('progress of the client reaches the server that wants it, and nobody else', async () => {
    const client = await LegacyClient.open();
    const told: JsonObject[] = [];
    const onProgress = (params: JsonObject) => told.push(params);
    const { put } = await asked(client, {
      method: 'roots/list',
      params: { _meta: { progressToken: 's' } },
      onProgress,
    });
    expect(put?.params).toEqual({ _meta: { progressToken: put?.id } });
    const progress = (progressToken: number | string) =>
      client.say({ method: 'notifications/progress', params: { progressToken, progress: 1 } }).done;
    await progress('s');
    await progress(99);
    await progress(put?.id ?? 0);
    expect(told).toEqual([{ progress: 1 }]);
  });
});
