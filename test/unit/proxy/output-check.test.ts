import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../adapters/crypto/node-crypto.ts';
import { deny } from '../../../domain/denial.ts';
import type { Json, JsonObject } from '../../../domain/json.ts';
import type { CapturedCall } from '../../../proxy/captured-call.ts';
import { Catalogue } from '../../../proxy/catalogue.ts';
import { outputCheck } from '../../../proxy/output-check.ts';
import { proves } from '../../guarantees.ts';
import { definitionOf, describe as described } from '../../support/gate-world.ts';

const catalogue = new Catalogue(sha256);
catalogue.pin(
  'fs',
  definitionOf(described('fs', [{ name: 'free' }, { name: 'shaped', outputSchema: { type: 'object' } }])),
);
const asked: string[] = [];
const check = outputCheck(catalogue, async (server, tool, json) => {
  asked.push(`${server}/${tool} ${json}`);
  return json === '{"bad":true}' ? deny('OUTPUT_INVALID', 'bad is not allowed') : undefined;
});
const of = (tool: string, result: JsonObject) =>
  check({ method: 'tools/call', server: 'fs', tool } as CapturedCall, 'complete', result);

const text = [{ type: 'text', text: 'x' }];

describe('an answer', () => {
  const REFUSED: readonly (readonly [string, JsonObject, string])[] = [
    ['without content', {}, 'OUTPUT_INVALID'],
    ['with content that is no list', { content: 'x' }, 'OUTPUT_INVALID'],
    ['with null as content', { content: null }, 'OUTPUT_INVALID'],
    ['with a block that is null', { content: [null] }, 'OUTPUT_INVALID'],
    ['with a block that is a text', { content: ['x'] }, 'OUTPUT_INVALID'],
    ['with a block without a type', { content: [{ text: 'x' }] }, 'OUTPUT_INVALID'],
    ['with one bad block among good ones', { content: [...text, { type: 7 }] }, 'OUTPUT_INVALID'],
    ['with isError as a text', { content: text, isError: 'false' }, 'OUTPUT_INVALID'],
    ['with isError as null', { content: text, isError: null }, 'OUTPUT_INVALID'],
    ['with _meta as null', { content: text, _meta: null }, 'OUTPUT_INVALID'],
    ['with _meta as a list', { content: text, _meta: [] }, 'OUTPUT_INVALID'],
    ['with _meta as a text', { content: text, _meta: 'x' }, 'OUTPUT_INVALID'],
    ['that wants input', { content: text, resultType: 'input_required' }, 'OUTPUT_UNSUPPORTED'],
    ['of a kind nobody knows', { content: text, resultType: 'complete ' }, 'OUTPUT_UNSUPPORTED'],
    ['with null as its kind', { content: text, resultType: null }, 'OUTPUT_UNSUPPORTED'],
    ['that is a task', { content: text, task: { taskId: '1' } }, 'OUTPUT_UNSUPPORTED'],
    ['that is a task of nothing', { content: text, task: null }, 'OUTPUT_UNSUPPORTED'],
  ];
  for (const [what, result, code] of REFUSED) {
    proves('G4', `${what} is withheld`, async () => {
      for (const tool of ['free', 'shaped', 'unknown']) expect(await of(tool, result)).toMatchObject({ code });
    });
  }

  it.each([
    { content: [] },
    { content: text },
    { content: text, isError: true },
    { content: text, _meta: {} },
    { content: [{ type: 'audio', data: '' }], structuredContent: { any: 'thing' } },
  ] as JsonObject[])('%j is released', async (result) => {
    expect(await of('free', result)).toBeUndefined();
  });
});

describe('an answer that is not the end', () => {
  const ASKS = { inputRequests: { a: { method: 'roots/list' } } };
  for (const method of ['completion/complete', 'resources/subscribe', 'tasks/get', 'tasks/result', 'tasks/update']) {
    proves('G8', `${method} has none: questions and tasks in its place are withheld`, async () => {
      const call = { method, server: 'fs', tool: method, argumentsJson: '{}' } as CapturedCall;
      expect(await check(call, 'input_required', ASKS)).toMatchObject({ code: 'OUTPUT_UNSUPPORTED' });
      expect(await check(call, 'task', { taskId: 't' })).toMatchObject({ code: 'OUTPUT_UNSUPPORTED' });
    });
  }

  for (const method of ['prompts/get', 'resources/read']) {
    proves('G8', `${method} may ask, and leaves no task behind`, async () => {
      const call = { method, server: 'fs', tool: method, argumentsJson: '{}' } as CapturedCall;
      expect(await check(call, 'input_required', ASKS)).toBeUndefined();
      expect(await check(call, 'task', { taskId: 't' })).toMatchObject({ code: 'OUTPUT_UNSUPPORTED' });
    });
  }
});

describe('an answer of a tool with an output schema', () => {
  proves('G4', 'is withheld without structured content, or where it does not fit', async () => {
    expect(await of('shaped', { content: text })).toMatchObject({ code: 'OUTPUT_INVALID' });
    expect(await of('shaped', { content: text, structuredContent: { bad: true } })).toMatchObject({
      code: 'OUTPUT_INVALID',
    });
  });

  it('is released where it fits, and an error needs no structured content', async () => {
    expect(await of('shaped', { content: text, structuredContent: { good: true } })).toBeUndefined();
    expect(await of('shaped', { content: text, isError: true })).toBeUndefined();
  });

  it('is always asked about, whatever it is', async () => {
    asked.length = 0;
    for (const structuredContent of [null, [], 7, {}] as Json[])
      await of('shaped', { content: text, structuredContent });
    expect(asked).toEqual(['fs/shaped null', 'fs/shaped []', 'fs/shaped 7', 'fs/shaped {}']);
  });
});
