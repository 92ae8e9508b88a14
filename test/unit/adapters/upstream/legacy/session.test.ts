// The fine points of a conversation with a server of the older revisions that no transport changes: what it may ask and for whom, what it is
// told, what passes for a task.

import { describe, expect, it, vi } from 'vitest';
import type { JsonObject } from '../../../../../domain/json.ts';
import type { Asking, CallHooks, QuestionAnswer } from '../../../../../proxy/tool-server.ts';
import { PLAIN_MANNER } from '../../../../../proxy/tool-server.ts';
import { proves } from '../../../../guarantees.ts';
import { hooks } from '../../../../support/hooks.ts';
import { PuppetServer } from '../../../../support/puppet-server.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Somebody who can be asked and answers when told to. */
function asked() {
  const answers: ((answer: QuestionAnswer) => void)[] = [];
  const cancel = vi.fn();
  const ask = vi.fn(
    (): Asking => ({
      answer: new Promise((resolve) => {
        answers.push(resolve);
      }),
      cancel,
    }),
  );
  return { ask, cancel, answers, hooks: hooks({ ask: ask as CallHooks['ask'] }) };
}

describe('a question of a server', () => {
  it.each([
    ['tasks/get', {}, -32601],
    ['tasks/result', {}, -32601],
    ['completion/complete', {}, -32601],
    ['sampling/createMessage', [], -32602],
    ['elicitation/create', 'x', -32602],
  ])('%s with %j is refused and reported, and nobody is asked', async (method, params, code) => {
    const puppet = await new PuppetServer().start();
    const client = asked();
    puppet.called(client.hooks);
    puppet.write({ id: 1, method, params });
    expect(puppet.heard.at(-1)).toMatchObject({ id: 1, error: { code } });
    expect(puppet.refused).toMatchObject([{ method }]);
    expect(client.ask).not.toHaveBeenCalled();
  });

  it('whose id is in use is refused, and the first one is answered', async () => {
    const puppet = await new PuppetServer().start();
    const client = asked();
    puppet.called(client.hooks);
    puppet.write({ id: 'a', method: 'roots/list' });
    puppet.write({ id: 'a', method: 'roots/list' });
    expect(puppet.heard.at(-1)).toMatchObject({ id: 'a', error: { code: -32600 } });
    client.answers[0]?.({ kind: 'result', result: { roots: [] } });
    await settled();
    expect(puppet.heard.at(-1)).toEqual({ jsonrpc: '2.0', id: 'a', result: { roots: [] } });
    expect(client.ask).toHaveBeenCalledTimes(1);
  });

  it('is another one when its id is text, not a number', async () => {
    const puppet = await new PuppetServer().start();
    const client = asked();
    puppet.called(client.hooks);
    puppet.write({ id: 1, method: 'roots/list' });
    puppet.write({ id: '1', method: 'roots/list' });
    expect(client.ask).toHaveBeenCalledTimes(2);
    puppet.write({ method: 'notifications/cancelled', params: { requestId: 1 } });
    client.answers[1]?.({ kind: 'result', result: {} });
    await settled();
    expect(puppet.heard.at(-1)).toMatchObject({ id: '1', result: {} });
  });

  it('beyond the number that may be open is refused, until one is answered', async () => {
    const puppet = await new PuppetServer({ tools: {} }, { questionsOpenMax: 2 }).start();
    const client = asked();
    puppet.called(client.hooks);
    for (const id of [1, 2, 3]) puppet.write({ id, method: 'roots/list' });
    expect(puppet.heard.at(-1)).toMatchObject({ id: 3, error: { code: -32600 } });
    client.answers[0]?.({ kind: 'result', result: {} });
    await settled();
    puppet.write({ id: 4, method: 'roots/list' });
    expect(client.ask).toHaveBeenCalledTimes(3);
  });

  it('on the stream of a request of ours, or of a call that was cancelled, is refused', async () => {
    const puppet = await new PuppetServer({ tools: {}, prompts: {} }).start();
    const client = asked();
    const { id, run } = puppet.called(client.hooks);
    puppet.session.offers('prompts').catch(() => undefined);
    const listing = Number(puppet.heard.at(-1)?.id);
    puppet.write({ id: 1, method: 'roots/list' }, listing);
    puppet.write({ id: 2, method: 'roots/list' }, 999);
    run.cancel('enough');
    puppet.write({ id: 3, method: 'roots/list' }, id);
    puppet.write({ id: 4, method: 'roots/list' });
    expect(puppet.refused).toHaveLength(4);
    expect(client.ask).not.toHaveBeenCalled();
  });

  it('asks for no task, as we promised nobody one', async () => {
    const puppet = await new PuppetServer().start();
    const client = asked();
    puppet.called(client.hooks);
    puppet.write({ id: 1, method: 'sampling/createMessage', params: { maxTokens: 1, task: { ttl: 1 } } });
    expect(client.ask).toHaveBeenCalledWith(expect.objectContaining({ params: { maxTokens: 1 } }));
  });

  it('that was withdrawn is not answered, whatever the client says later, and a stranger cannot withdraw', async () => {
    const puppet = await new PuppetServer().start();
    const client = asked();
    const { id } = puppet.called(client.hooks);
    puppet.write({ id: 1, method: 'roots/list' });
    for (const requestId of [id, '1', null, {}])
      puppet.write({ method: 'notifications/cancelled', params: { requestId } });
    expect(client.cancel).not.toHaveBeenCalled();
    puppet.write({ method: 'notifications/cancelled', params: { requestId: 1, reason: 'x'.repeat(1_000) } });
    expect(client.cancel.mock.calls).toEqual([['x'.repeat(200)]]);
    client.answers[0]?.({ kind: 'result', result: {} });
    await settled();
    expect(puppet.heard.filter(({ method }) => method === undefined)).toEqual([]);
  });

  proves('G9', 'is put to nobody while the server may still work on what another client gave up', async () => {
    const puppet = await new PuppetServer({ tools: {} }, { cancelGraceMs: 1, givenUpMs: 60_000 }).start();
    const client = asked();
    const theirs = puppet.called(client.hooks, { manner: { ...PLAIN_MANNER, sender: {} } });
    theirs.run.cancel('enough');
    await theirs.run.answer;
    puppet.called(client.hooks, { manner: { ...PLAIN_MANNER, sender: {} } });
    puppet.write({ id: 1, method: 'roots/list' });
    expect(client.ask).not.toHaveBeenCalled();
    // It answers after all: now it works on one call only.
    puppet.write({ id: theirs.id, result: {} });
    puppet.write({ id: 2, method: 'roots/list' });
    expect(client.ask).toHaveBeenCalledTimes(1);
  });

  it('of calls without a sender is put to nobody: they could be anybody’s', async () => {
    const puppet = await new PuppetServer().start();
    const client = asked();
    puppet.called(client.hooks);
    puppet.called(client.hooks);
    puppet.write({ id: 1, method: 'roots/list' });
    expect(client.ask).not.toHaveBeenCalled();
  });
});

describe('what a server is told', () => {
  it('what its clients can be asked, in the words of 2025-11-25', async () => {
    const puppet = new PuppetServer();
    const starting = puppet.session.start();
    expect(puppet.heard[0]).toMatchObject({
      method: 'initialize',
      params: {
        protocolVersion: '2025-11-25',
        capabilities: {
          roots: { listChanged: true },
          sampling: { tools: {}, context: {} },
          elicitation: { form: {}, url: {} },
        },
      },
    });
    await starting;
  });

  it('to log more, when a client wants more than any before, and never to log less', async () => {
    const puppet = await new PuppetServer({ tools: {}, logging: {} }).start();
    const told: JsonObject[] = [];
    for (const logLevel of [undefined, 'loud', 'warning', 'error', 'warning', 'debug', 'info']) {
      puppet.called(undefined, { manner: { ...PLAIN_MANNER, ...(logLevel === undefined ? {} : { logLevel }) } });
      const asking = puppet.heard.findLast(({ method }) => method === 'logging/setLevel');
      if (asking !== undefined && !told.includes(asking.params ?? {})) told.push(asking.params ?? {});
      // Before the call, and a refusal is no reason to ask again.
      expect(puppet.heard.at(-1)?.method).toBe('tools/call');
      if (asking !== undefined) puppet.write({ id: asking.id, error: { code: -32601, message: 'no' } });
      await settled();
    }
    expect(told).toEqual([{ level: 'warning' }, { level: 'debug' }]);
  });

  it('one level at a time, and none where it cannot log', async () => {
    const [slow, silent] = [
      await new PuppetServer({ tools: {}, logging: {} }).start(),
      await new PuppetServer().start(),
    ];
    for (const puppet of [slow, silent])
      for (const logLevel of ['error', 'info', 'debug'])
        puppet.called(undefined, { manner: { ...PLAIN_MANNER, logLevel } });
    const levels = (puppet: PuppetServer) => puppet.heard.filter(({ method }) => method === 'logging/setLevel');
    expect(levels(slow)).toHaveLength(1);
    expect(levels(silent)).toEqual([]);
  });
});

describe('a result', () => {
  it.each([
    ['a task, when none was asked for', '{"name":"x"}', { task: { taskId: 't' } }, undefined],
    ['a task without an id', '{"name":"x","task":{}}', { task: {} }, undefined],
    ['no task, though one was asked for', '{"name":"x","task":{}}', { content: [] }, undefined],
    ['a task that was asked for', '{"name":"x","task":{"ttl":1}}', { task: { taskId: 't' } }, 'task'],
    [
      'a task for arguments that speak of one',
      '{"arguments":{"task":{}},"name":"x"}',
      { task: { taskId: 't' } },
      undefined,
    ],
  ] as const)('%s', async (_, body, result, type) => {
    const puppet = await new PuppetServer().start();
    const { run, id } = puppet.called(undefined, { body });
    puppet.write({ id, result });
    const answer = await run.answer;
    expect(answer).toMatchObject({ kind: 'result', result });
    expect('type' in answer ? answer.type : undefined).toBe(type);
  });

  it.each([
    ['complete', { content: [] }],
    ['input_required', { content: [], resultType: 'input_required' }],
    ['Complete', { content: [], resultType: 'Complete' }],
    [null, { content: [], resultType: null }],
  ])('of the type %j arrives so that only what is complete can be released', async (resultType, result) => {
    const puppet = await new PuppetServer().start();
    const { run, id } = puppet.called();
    puppet.write({ id, result: { content: [], resultType } });
    expect(await run.answer).toMatchObject({ kind: 'result' });
    expect(await run.answer).toHaveProperty('result', result);
  });
});

describe('a gap in what a server said', () => {
  it('counts as a change of every list that it has', async () => {
    const puppet = await new PuppetServer({ tools: {}, resources: {} }).start();
    puppet.handlers?.onGap();
    expect(puppet.heard.map(({ method }) => method)).toEqual(['tools/list']);
    expect(puppet.notices).toEqual([{ method: 'notifications/resources/list_changed', params: {} }]);
  });
});

describe('a server that is asked again for its tools, although it said nothing', () => {
  const LATE = 50;

  it('is ended where it does not answer, and waited for while it is busy with a call', async () => {
    vi.useFakeTimers();
    try {
      const puppet = await new PuppetServer({ tools: {} }, { listTimeoutMs: LATE }).start();
      puppet.silent.add('tools/list');
      const { id } = puppet.called();
      const again = puppet.session.relist();
      await vi.advanceTimersByTimeAsync(10 * LATE);
      expect(puppet.destroyed).toBeUndefined();
      puppet.write({ id, result: { content: [] } });
      await vi.advanceTimersByTimeAsync(2 * LATE);
      expect(puppet.destroyed).toMatch(/did not list its tools/);
      puppet.handlers?.onClose('gone');
      await again;
    } finally {
      vi.useRealTimers();
    }
  });

  it('is not asked where it has none', async () => {
    const puppet = await new PuppetServer({}).start();
    await puppet.session.relist();
    expect(puppet.heard).toEqual([]);
    expect(puppet.destroyed).toBeUndefined();
  });
});
