// What comes of a task, by whatever message: it passes the checks of the tool that made it, and goes to its owner under its owner's name.

import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../adapters/crypto/node-crypto.ts';
import { deny } from '../../../domain/denial.ts';
import type { CallId } from '../../../domain/ids.ts';
import type { JsonObject } from '../../../domain/json.ts';
import type { CapturedCall } from '../../../proxy/captured-call.ts';
import { Catalogue } from '../../../proxy/catalogue.ts';
import { Conversation } from '../../../proxy/conversation.ts';
import { QUESTION_SCHEMAS_CHARACTERS_MAX } from '../../../proxy/limits.ts';
import { outputCheck } from '../../../proxy/output-check.ts';
import { renamedTasks } from '../../../proxy/task-names.ts';
import { PLAIN_MANNER } from '../../../proxy/tool-server.ts';
import { proves } from '../../guarantees.ts';
import { definitionOf, describe as described, PRINCIPAL, settled, World } from '../../support/gate-world.ts';
import { until } from '../../support/legacy-client.ts';

const CALL = '01JZ0000000000000000000000' as CallId;
const TEXT = [{ type: 'text', text: 'x' }];
const catalogue = new Catalogue(sha256);
catalogue.pin('fs', definitionOf(described('fs', [{ name: 'shaped', outputSchema: { type: 'object' } }])));
const check = outputCheck(catalogue, async (_server, _tool, json) =>
  json === '{"bad":true}' ? deny('OUTPUT_INVALID', 'bad') : undefined,
);
const of = (method: string, result: JsonObject, resultOf: string | undefined = 'shaped') => {
  const call = { method, server: 'fs', tool: method, argumentsJson: '{"taskId":"t"}', resultOf };
  return check(call as CapturedCall, 'complete', result);
};

describe('the result of a task', () => {
  const BAD: readonly JsonObject[] = [
    {},
    { content: 'x' },
    { content: TEXT },
    { content: TEXT, structuredContent: { bad: true } },
    { content: TEXT, structuredContent: {}, task: {} },
  ];
  for (const result of BAD) {
    proves('G4', `${JSON.stringify(result)} is withheld, whether asked for or part of the state`, async () => {
      expect(await of('tasks/result', result)).toMatchObject({ code: expect.stringMatching(/^OUTPUT_/) });
      const state = { taskId: 't', status: 'completed', result };
      expect(await of('tasks/get', state)).toMatchObject({ code: expect.stringMatching(/^OUTPUT_/) });
    });
  }

  proves('G4', 'of no tool is withheld', async () => {
    const result = { content: TEXT };
    const call = { method: 'tasks/result', server: 'fs', tool: 'tasks/result', argumentsJson: '{}' } as CapturedCall;
    expect(await check(call, 'complete', result)).toMatchObject({ code: 'OUTPUT_INVALID' });
  });

  proves('G9', 'is withheld where the state is of another task, or of none', async () => {
    expect(await of('tasks/get', { taskId: 'other', status: 'working' })).toMatchObject({ code: 'OUTPUT_INVALID' });
    expect(await of('tasks/get', { status: 'working' })).toMatchObject({ code: 'OUTPUT_INVALID' });
    expect(await of('tasks/cancel', { taskId: 'other' })).toMatchObject({ code: 'OUTPUT_INVALID' });
  });

  for (const member of ['result', 'error', 'inputRequests']) {
    proves('G4', `a task that begins with its ${member} is withheld: nobody has decided about that`, async () => {
      const call = { method: 'tools/call', server: 'fs', tool: 'shaped', argumentsJson: '{}' } as CapturedCall;
      const task = { taskId: 't', status: 'completed', [member]: {} };
      expect(await check(call, 'task', task)).toMatchObject({ code: 'OUTPUT_UNSUPPORTED' });
      expect(await check(call, 'task', { task })).toMatchObject({ code: 'OUTPUT_UNSUPPORTED' });
      expect(await check(call, 'task', { task: { taskId: 't' } })).toBeUndefined();
    });
  }

  it('with forms that are too large is withheld', async () => {
    const ask = (characters: number) => ({
      method: 'elicitation/create',
      params: { requestedSchema: { title: 'x'.repeat(characters) } },
    });
    const state = (characters: number) => ({
      taskId: 't',
      status: 'input_required',
      inputRequests: { a: ask(characters), b: ask(characters) },
    });
    expect(await of('tasks/get', state(QUESTION_SCHEMAS_CHARACTERS_MAX / 2))).toMatchObject({ code: 'OUTPUT_INVALID' });
    expect(await of('tasks/get', state(QUESTION_SCHEMAS_CHARACTERS_MAX / 2 - 20))).toBeUndefined();
  });

  it('with questions that no client is asked is withheld', async () => {
    const state = { taskId: 't', status: 'input_required', inputRequests: { a: { method: 'tools/call' } } };
    expect(await of('tasks/get', state)).toMatchObject({ code: 'OUTPUT_UNSUPPORTED' });
  });

  it('is released where it fits', async () => {
    const result = { content: TEXT, structuredContent: { good: true } };
    expect(await of('tasks/result', result)).toBeUndefined();
    expect(await of('tasks/get', { taskId: 't', status: 'completed', result })).toBeUndefined();
    expect(await of('tasks/cancel', {})).toBeUndefined();
  });
});

describe('the name of a task', () => {
  it("is the owner's in everything that a server says of it", async () => {
    const { enforcement } = await World.open();
    const { tasks } = enforcement;
    const bound = { taskId: 't', agent: 'coder', tool: 'write_file', call: CALL };
    tasks.bind({ ...bound, server: 'git' });
    const said = { server: 'fs', tool: 'write_file', arguments: {}, rest: {}, meta: {}, manner: PLAIN_MANNER };
    const receipt = { call: CALL, entry: 1, permit: 'p' };
    const end = { kind: 'result', resultJson: '', receipt } as const;
    const made = { ...end, type: 'task', result: { task: { taskId: 't', status: 'working' } } } as const;
    const added = renamedTasks({ ...said, method: 'tools/call' }, made, { agent: 'coder', tasks, scope: undefined });
    const name = tasks.named('fs', 't')?.name;
    expect(name).not.toBe('t');
    expect(added).toEqual({ task: { taskId: name, status: 'working' } });
    const flat = { ...end, type: 'task', result: { taskId: 't', status: 'working' } } as const;
    expect(renamedTasks({ ...said, method: 'tools/call' }, flat, { agent: 'coder', tasks, scope: undefined })).toEqual({
      taskId: name,
    });
    const related = { 'io.modelcontextprotocol/related-task': { taskId: 't', more: 1 } };
    const state = { ...end, type: 'complete', result: { taskId: 't', _meta: related } } as const;
    expect(renamedTasks({ ...said, method: 'tasks/get' }, state, { agent: 'coder', tasks, scope: undefined })).toEqual({
      taskId: name,
      _meta: { 'io.modelcontextprotocol/related-task': { taskId: name, more: 1 } },
    });
    expect(renamedTasks({ ...said, method: 'tasks/get' }, state, { agent: 'other', tasks, scope: undefined })).toEqual(
      {},
    );
  });
});

describe('what a server says of a task unasked', () => {
  async function owner(agent = 'coder') {
    const world = await World.open();
    const told: JsonObject[] = [];
    const conversation = new Conversation(world.enforcement, {
      principal: { ...PRINCIPAL, agent },
      view: { kind: 'all' },
      onNotice: ({ params }) => told.push(params),
    });
    world.enforcement.tasks.bind({ server: 'fs', taskId: 't', agent: 'coder', tool: 'write_file', call: CALL });
    const say = (params: JsonObject) => world.enforcement.notices.tell('fs', { method: 'notifications/tasks', params });
    return { world, told, say, conversation };
  }

  proves('G9', 'reaches nobody but its owner, and of an unknown task nobody', async () => {
    const { say, told } = await owner('other');
    say({ taskId: 't', status: 'working' });
    expect(told).toEqual([]);
    const own = await owner();
    own.say({ taskId: 'unknown', status: 'working' });
    own.say({ taskId: 't', status: 'working' });
    expect(own.told).toEqual([{ taskId: 't', status: 'working' }]);
  });

  proves('G1', 'a result in it is not told: it is fetched, decided about, checked and recorded', async () => {
    const { world, say, told } = await owner();
    const state = { taskId: 't', status: 'completed', result: { content: TEXT } };
    world.server.respond = () => ({ kind: 'result', result: state, bytes: 1 });
    say({ taskId: 't', status: 'completed', result: { content: [{ type: 'text', text: 'forged' }] } });
    expect(told).toEqual([]);
    await until(() => told.length > 0);
    expect(told).toEqual([state]);
    expect(world.server.heard.map(({ dispatch }) => dispatch.method)).toEqual(['tasks/get']);
    expect(world.entries(true).filter(({ type }) => type === 'call.ending')).toHaveLength(1);
  });

  proves('G8', 'questions in what is fetched are told to nobody: no rule has decided about them', async () => {
    const { world, say, told } = await owner();
    const inputRequests = { a: { method: 'elicitation/create', params: { message: 'Who?' } } };
    world.server.respond = () => ({
      kind: 'result',
      result: { taskId: 't', status: 'input_required', inputRequests },
      bytes: 1,
    });
    say({ taskId: 't', status: 'input_required', inputRequests });
    await until(() => world.entries().some(({ type }) => type === 'call.ending'));
    const [outcome] = world.entries().flatMap(({ outcome }) => (outcome === undefined ? [] : [outcome]));
    expect(outcome).toMatchObject({ status: 'withheld', code: 'OUTPUT_UNSUPPORTED' });
    expect(told).toEqual([]);
  });

  it('is not told to a conversation that has ended meanwhile', async () => {
    const { world, say, told, conversation } = await owner();
    world.server.respond = () => ({ kind: 'result', result: { taskId: 't', status: 'completed' }, bytes: 1 });
    world.enforcement.notices.tell('fs', { method: 'notifications/tools/list_changed', params: {} });
    say({ taskId: 't', status: 'completed', result: {} });
    await conversation.close('disconnect');
    await settled();
    expect(told).toEqual([]);
  });

  it('a result in it does not speak in our name', async () => {
    const { world, say, told } = await owner();
    const result = { content: TEXT, _meta: { 'dev.portcullis/receipt': { call: 'forged' } } };
    world.server.respond = () => ({ kind: 'result', result: { taskId: 't', status: 'completed', result }, bytes: 1 });
    say({ taskId: 't', status: 'completed', result: {} });
    await until(() => told.length > 0);
    expect(told).toEqual([{ taskId: 't', status: 'completed', result: { content: TEXT, _meta: {} } }]);
  });

  it('is fetched once more, however often it was said while it was fetched', async () => {
    const { world, say, told } = await owner();
    const state = { taskId: 't', status: 'completed', result: { content: TEXT } };
    world.server.respond = () => ({ kind: 'result', result: state, bytes: 1 });
    for (let said = 0; said < 5; said += 1) say({ taskId: 't', status: 'completed', result: {} });
    await until(() => told.length > 1);
    expect(world.entries(true).filter(({ type }) => type === 'call.ending')).toHaveLength(2);
    expect(world.server.heard).toHaveLength(2);
    expect(told).toEqual([state, state]);
  });

  proves('G4', 'a result in it that may not be fetched is not told', async () => {
    const { world, say, told } = await owner();
    world.authority.decide = async () => ({ decision: 'deny', code: 'POLICY_NO_PERMIT', by: [] });
    say({ taskId: 't', status: 'completed', result: { content: TEXT } });
    await until(() => world.entries().some(({ type }) => type === 'call.denial'));
    expect(told).toEqual([]);
    expect(world.server.heard).toEqual([]);
  });
});
