import { describe, expect, it } from 'vitest';
import type { Json } from '../../../domain/json.ts';
import { classify, errorMessage, notificationMessage, resultMessage, resultText } from '../../../proxy/jsonrpc.ts';

const v = { jsonrpc: '2.0' };

describe('classification', () => {
  it.each([
    [
      { ...v, id: 1, method: 'ping' },
      { kind: 'request', id: 1, method: 'ping', params: undefined },
    ],
    [
      { ...v, id: 'a', method: 'x', params: { a: 1 } },
      { kind: 'request', id: 'a', method: 'x', params: { a: 1 } },
    ],
    [
      { ...v, id: '', method: 'x' },
      { kind: 'request', id: '', method: 'x', params: undefined },
    ],
    [
      { ...v, id: 0, method: 'x' },
      { kind: 'request', id: 0, method: 'x', params: undefined },
    ],
    [
      { ...v, method: 'x' },
      { kind: 'notification', method: 'x', params: undefined },
    ],
    [
      { ...v, id: 1, result: {} },
      { kind: 'response', id: 1, result: {} },
    ],
    [
      { ...v, id: 1, result: null },
      { kind: 'malformed', reason: 'result is not an object', id: null, answers: 1 },
    ],
    [
      { ...v, id: 1, error: { code: 1, message: '' } },
      { kind: 'response', id: 1, error: { code: 1, message: '' } },
    ],
    [
      { ...v, id: 1, error: { code: '1', message: '' } },
      { kind: 'malformed', reason: 'error lacks a code or a message', id: null, answers: 1 },
    ],
    [
      { ...v, id: 1, error: 'no' },
      { kind: 'malformed', reason: 'error is not an object', id: null, answers: 1 },
    ],
    [[], { kind: 'batch', elements: [] }],
  ] satisfies [Json, object][])('%j', (message, expected) => {
    expect(classify(message)).toEqual(expected);
  });

  it.each([
    [null, null],
    [7, null],
    ['x', null],
    [{}, null],
    [{ id: 1, method: 'x' }, 1],
    [{ jsonrpc: '2.1', id: 1, method: 'x' }, 1],
    [{ ...v, id: null, method: 'x' }, null],
    [{ ...v, id: 1.5, method: 'x' }, null],
    [{ ...v, id: 9_007_199_254_740_992, method: 'x' }, null],
    [{ ...v, id: [], method: 'x' }, null],
    [{ ...v, id: 1, method: null }, 1],
    [{ ...v, id: 1, method: 'x', params: [] }, 1],
    [{ ...v, id: 1, method: 'x', params: null }, 1],
    [{ ...v, id: 1, method: 'x', params: { _meta: [] } }, 1],
    [{ ...v, id: 1, method: 'x', params: { _meta: { progressToken: {} } } }, 1],
    [{ ...v, id: 1, method: 'x', params: { _meta: { progressToken: null } } }, 1],
    [{ ...v, id: 1, method: 'x', params: { _meta: { progressToken: 1.5 } } }, 1],
    [{ ...v, id: 1, method: 'x', error: {} }, 1],
    [{ ...v, id: 1, method: 'x', Method: 'y' }, 1],
    [{ ...v, result: {} }, null],
    [{ ...v, id: 1 }, 1],
    [{ ...v, id: 1, result: {}, error: {} }, null],
    [{ ...v, id: 1, result: {}, params: {} }, null],
  ] satisfies [Json, number | null][])('%j is malformed, and is answered to %j', (message, id) => {
    expect(classify(message)).toMatchObject({ kind: 'malformed', id });
  });
});

it('writes messages on one line, in canonical order, whatever is in them', () => {
  const texts = [
    resultMessage('a\n"', { b: 'x\ny', a: 1 }),
    resultText(7, '{"a":1}'),
    errorMessage(null, -32600, 'a\nb', { z: 1, a: 2 }),
    errorMessage(1, 5, 'm'),
    notificationMessage('n', { a: 1 }),
    notificationMessage('n'),
  ];
  expect(texts).toEqual([
    '{"id":"a\\n\\"","jsonrpc":"2.0","result":{"a":1,"b":"x\\ny"}}',
    '{"id":7,"jsonrpc":"2.0","result":{"a":1}}',
    '{"error":{"code":-32600,"data":{"a":2,"z":1},"message":"a\\nb"},"id":null,"jsonrpc":"2.0"}',
    '{"error":{"code":5,"message":"m"},"id":1,"jsonrpc":"2.0"}',
    '{"jsonrpc":"2.0","method":"n","params":{"a":1}}',
    '{"jsonrpc":"2.0","method":"n"}',
  ]);
});
