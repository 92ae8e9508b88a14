// The text of a call, and the guess whose an unread answer is.

import { describe, expect, it } from 'vitest';
import { callText } from '../../../../../adapters/upstream/legacy/wire.ts';
import { guessId, outline } from '../../../../../adapters/upstream/unparsed.ts';
import { Defect } from '../../../../../domain/defect.ts';
import { PLAIN_MANNER } from '../../../../../proxy/tool-server.ts';

const call = (body: string, meta = {}) =>
  callText(7, 'token', { method: 'tools/call', meta, body, outputBytesMax: 1, manner: PLAIN_MANNER });

describe('the text of a call', () => {
  for (const body of ['', '[]', 'null', '{"name":"x"', '{"name":"x"}\n{"id":8}', '{"name":\n"x"}']) {
    it(`is not made of ${JSON.stringify(body)}`, () => {
      expect(() => call(body)).toThrow(Defect);
    });
  }

  it('is in canonical order, with the body as it was given', () => {
    expect(call('{"arguments":{"b": 1},"name":"x"}', { z: 1, a: 2 })).toBe(
      '{"id":7,"jsonrpc":"2.0","method":"tools/call","params":{"_meta":{"a":2,"progressToken":"token","z":1},"arguments":{"b": 1},"name":"x"}}',
    );
  });

  it('has our progress token, whatever the meta says', () => {
    expect(call('{}', { progressToken: 'theirs' })).toBe(
      '{"id":7,"jsonrpc":"2.0","method":"tools/call","params":{"_meta":{"progressToken":"token"}}}',
    );
  });
});

describe('the id of an answer too large to be read', () => {
  for (const [head, tail, id] of [
    ['{"jsonrpc":"2.0","id":12,"result":{', undefined, 12],
    ['{"id": 12 , "result":{', undefined, 12],
    ['{"result":{"id":12,', undefined, undefined],
    ['{"result":{"id":12,', '}],"a":1},"jsonrpc":"2.0","id":13}', 13],
    ['{"result":{', '},"id":13,"jsonrpc":"2.0"}', 13],
    ['{"result":{', '"text":"\\"id\\":13}', undefined],
    ['{"result":{', '"id":13}}', undefined],
    ['{"id":"12","result":{', '', undefined],
    ['{"id":-12,"result":{', '', undefined],
    ['{"id":1e3,"result":{', '', undefined],
    ['xxxx', 'xxxx', undefined],
  ] as const) {
    it(`is ${id} for ${head}…${tail ?? ''}`, () => {
      expect(guessId(head, tail)).toBe(id);
    });
  }
});

describe('the outline of what is not strict JSON', () => {
  for (const [text, expected] of [
    ['{"id":1,"id":2}', { id: 2, hasMethod: false }],
    ['{"id":"1"}', { id: undefined, hasMethod: false }],
    ['{"jsonrpc":"2.0","id":null,"error":{}}', { id: undefined, hasMethod: false, hasError: true }],
    ['{"id":2,"error":"not found"}', { id: 2, hasMethod: false }],
    ['{"method":"x","id":1}', { id: 1, hasMethod: true }],
    ['{"__proto__":{"id":1}}', { id: undefined, hasMethod: false }],
    ['[1]', undefined],
    ['null', undefined],
    ['{', undefined],
  ] as const) {
    it(`of ${text} is ${JSON.stringify(expected)}`, () => {
      expect(outline(Buffer.from(text))).toEqual(expected && { hasError: false, ...expected });
    });
  }
});
