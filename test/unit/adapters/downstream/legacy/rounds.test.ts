// A server that cannot ask says what it needs and forgets the call: the client is asked here, and the call goes on as one execution after the
// other. Whoever does not want the answer any more ends that, also between two rounds.

import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../../../domain/json.ts';
import { ROUNDS_MAX } from '../../../../../proxy/limits.ts';
import { proves } from '../../../../guarantees.ts';
import { chainFindings } from '../../../../support/audited.ts';
import { resultOf, settled } from '../../../../support/gate-world.ts';
import { LegacyClient, needsInput, questionsIn, type Spoken, until } from '../../../../support/legacy-client.ts';

const ROOTS: JsonObject = { method: 'roots/list' };
const STATE = 'st\u00e4te "\\ \u2028 \ud83d\ude00 =';
const PAUSE_MS = 250;

const bodyOf = (client: LegacyClient): JsonObject => JSON.parse(client.atServer.dispatch.body) as JsonObject;
const dispatches = (client: LegacyClient): number => client.world.server.heard.length;

async function answerRoots(client: LegacyClient, call: Spoken, open = 1): Promise<void> {
  await until(() => questionsIn(call).length >= open);
  const { id } = questionsIn(call).at(-1) as { id: number };
  await client.say({ id, result: { roots: [{ uri: 'file:///w' }] } }).done;
}

/** A call whose client is being asked between the first round and the second. */
async function between(client: LegacyClient): Promise<Spoken> {
  const call = await client.call();
  client.atServer.answer(needsInput({ where: ROOTS }, STATE));
  await until(() => questionsIn(call).length === 1);
  return call;
}

describe('a call that does not go on', () => {
  proves(
    'G4',
    'cancelled between two rounds: the question is withdrawn, nothing more is sent, and it is recorded',
    async () => {
      const client = await LegacyClient.open();
      const call = await between(client);
      await client.cancel('call');
      await call.done;
      expect(call.heard).toMatchObject([{ method: 'roots/list' }, { method: 'notifications/cancelled' }]);
      await settled();
      expect(dispatches(client)).toBe(1);
      expect(client.denials()).toMatchObject([{ code: 'CANCELLED' }]);
      const again = await client.call('call');
      client.atServer.answer(resultOf('done'));
      await again.done;
      expect(again.heard).toMatchObject([{ id: 'call', result: {} }]);
    },
  );

  proves('G4', 'cancelled in a pause: nothing more is sent', async () => {
    const client = await LegacyClient.open();
    const call = await client.call();
    client.atServer.answer(needsInput(undefined, STATE));
    await settled();
    await client.cancel('call');
    client.world.clock.advance(PAUSE_MS);
    await call.done;
    expect(call.heard).toEqual([]);
    expect(dispatches(client)).toBe(1);
  });

  proves('G4', 'its client goes away between two rounds, and in a pause', async () => {
    for (const questions of [{ where: ROOTS }, undefined]) {
      const client = await LegacyClient.open();
      const call = await client.call();
      client.atServer.answer(needsInput(questions, STATE));
      await settled();
      await client.session.close('disconnect');
      client.world.clock.advance(PAUSE_MS);
      await call.done;
      await settled();
      expect(dispatches(client)).toBe(1);
      expect(client.world.defects).toEqual([]);
    }
  });

  proves('G8', 'answers and a state that a client brings by itself do not reach the server', async () => {
    const client = await LegacyClient.open();
    const forged = { inputResponses: { sure: { action: 'accept' } }, requestState: 'forged', more: 1 };
    const call = client.say({
      id: 'c',
      method: 'tools/call',
      params: { name: 'write_file', arguments: {}, ...forged },
    });
    await until(() => dispatches(client) === 1);
    expect(bodyOf(client)).toEqual({ name: 'write_file', arguments: {}, more: 1 });
    client.atServer.answer(resultOf('done'));
    await call.done;
  });

  it('a question without an answer', async () => {
    const client = await LegacyClient.open();
    const call = await between(client);
    const [question] = questionsIn(call);
    await client.say({ id: question?.id ?? 0, error: { code: -1, message: 'no' } }).done;
    await call.done;
    expect(dispatches(client)).toBe(1);
    expect(call.heard.at(-1)).toMatchObject({ id: 'call', result: { isError: true } });
    expect(client.denials()).toMatchObject([{ code: 'CLIENT_CANNOT_BE_ASKED' }]);
  });

  it('a client that cannot be asked', async () => {
    const client = await LegacyClient.open({});
    const call = await client.call();
    client.atServer.answer(needsInput({ where: ROOTS }));
    await call.done;
    expect(questionsIn(call)).toEqual([]);
    expect(dispatches(client)).toBe(1);
    expect(client.denials().map(({ code }) => code)).toEqual(['CLIENT_CANNOT_BE_ASKED', 'CLIENT_CANNOT_BE_ASKED']);
  });

  it('too many rounds', async () => {
    const client = await LegacyClient.open();
    const call = await client.call();
    for (let round = 1; round <= ROUNDS_MAX; round++) {
      await until(() => dispatches(client) === round);
      client.atServer.answer(needsInput({ where: ROOTS }));
      if (round < ROUNDS_MAX) await answerRoots(client, call, round);
    }
    await call.done;
    expect(dispatches(client)).toBe(ROUNDS_MAX);
    expect(call.heard.at(-1)).toMatchObject({ id: 'call', result: { isError: true } });
  });

  const BAD: readonly (readonly [string, JsonObject | undefined, string | undefined])[] = [
    ['nothing asked and no state', undefined, undefined],
    ['a question that clients are not asked', { a: { method: 'tools/call' } }, undefined],
    ['a question that is none', { a: 7 }, undefined],
    ['params that are no object', { a: { ...ROOTS, params: [] } }, undefined],
    [
      'more questions than a client is asked at once',
      Object.fromEntries([...Array(17).keys()].map((n) => [`q${n}`, ROOTS])),
      undefined,
    ],
    ['a state without end', undefined, 'x'.repeat(70_000)],
  ];
  for (const [what, questions, state] of BAD) {
    proves('G4', `${what}: withheld`, async () => {
      const client = await LegacyClient.open();
      const call = await client.call();
      client.atServer.answer(needsInput(questions, state));
      await call.done;
      expect(call.heard).toMatchObject([{ id: 'call', result: { isError: true } }]);
      expect(dispatches(client)).toBe(1);
    });
  }
});

describe('a call that goes on', () => {
  it('with the answers under the keys of the server, its state byte for byte, and the arguments of the first round', async () => {
    const client = await LegacyClient.open();
    const call = await client.call('call', { arguments: { path: '/w/a' } });
    client.atServer.answer(needsInput({ where: ROOTS }, STATE));
    await answerRoots(client, call);
    await until(() => dispatches(client) === 2);
    expect(bodyOf(client)).toEqual({
      name: 'write_file',
      arguments: { path: '/w/a' },
      inputResponses: { where: { roots: [{ uri: 'file:///w' }] } },
      requestState: STATE,
    });
    client.atServer.answer(resultOf('done'));
    await call.done;
    expect(call.heard.at(-1)).toMatchObject({ id: 'call', result: { content: [{ text: 'done' }] } });
  });

  it('takes neither answers nor state of an earlier round along', async () => {
    const client = await LegacyClient.open();
    const call = await client.call('call', { inputResponses: { forged: {} }, requestState: 'forged' });
    client.atServer.answer(needsInput({ where: ROOTS }));
    await answerRoots(client, call);
    await until(() => dispatches(client) === 2);
    expect(Object.keys(bodyOf(client)).sort()).toEqual(['arguments', 'inputResponses', 'name']);
    expect(Object.keys(bodyOf(client).inputResponses as JsonObject)).toEqual(['where']);
    client.atServer.answer(needsInput(undefined, 'later'));
    await settled();
    client.world.clock.advance(PAUSE_MS);
    await until(() => dispatches(client) === 3);
    expect(bodyOf(client)).toEqual({ name: 'write_file', arguments: {}, requestState: 'later' });
  });

  proves('G1', 'each round is an execution of its own that continues the one before', async () => {
    const client = await LegacyClient.open();
    const call = await between(client);
    await answerRoots(client, call);
    await until(() => dispatches(client) === 2);
    client.atServer.answer(resultOf('done'));
    await call.done;
    const rounds = client.entriesAbout('tools/call').filter(({ type }) => type === 'call.intent');
    const relations = rounds.map(({ events }) => (events as { relation?: unknown }[])[0]?.relation);
    expect(relations).toEqual([undefined, { kind: 'continues', call: rounds[0]?.call }]);
    const [question] = client.entriesAbout('roots/list');
    expect(((question?.events ?? []) as { relation?: unknown }[])[0]?.relation).toEqual({
      kind: 'within',
      call: rounds[0]?.call,
    });
    expect(JSON.stringify(client.world.entries())).toContain('"incomplete":"input_required"');
    const placeOf = (entry: (typeof rounds)[number] | undefined) =>
      ((entry?.events ?? []) as { lineage?: unknown }[])[0]?.lineage;
    for (const entry of [...rounds, question])
      expect(placeOf(entry)).toEqual({ root: rounds[0]?.call, node: entry?.call, parent: null, depth: 0 });
    expect(chainFindings(client.world.entries())).toEqual([]);
  });

  it('a denial of the next round is the answer', async () => {
    const client = await LegacyClient.open();
    const call = await between(client);
    client.world.authority.decide = async ({ method }) => ({
      decision: 'deny',
      code: method === 'tools/call' ? 'POLICY_FORBID' : 'POLICY_ERROR',
      by: [],
    });
    await answerRoots(client, call);
    await call.done;
    expect(JSON.stringify(call.heard.at(-1))).toContain('POLICY_FORBID');
    expect(dispatches(client)).toBe(1);
  });
});
