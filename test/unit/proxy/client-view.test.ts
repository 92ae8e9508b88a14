import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../domain/canonical-json.ts';
import { DENIALS, type DenialCode } from '../../../domain/denial.ts';
import type { Json, JsonObject } from '../../../domain/json.ts';
import { type CallEnd, denialError } from '../../../proxy/client-view.ts';
import { proves } from '../../guarantees.ts';
import { toolCallReply } from '../../support/call-reply.ts';

const CALL = '01KAJ0000000000000000000AA';
const HINTS = { missingPolicy: 'edit /home/me/portcullis.yaml' };
const receipt = { call: CALL, entry: 3, permit: 'jti' };
const CODES = Object.keys(DENIALS) as DenialCode[];

function released(result: JsonObject): string {
  return toolCallReply(
    1,
    'x',
    { kind: 'result', type: 'complete', result, resultJson: canonicalJson(result), receipt },
    HINTS,
  );
}

function denied(code: DenialCode, executed: 'no' | 'perhaps' | 'yes' = 'no'): Extract<CallEnd, { kind: 'denied' }> {
  return { kind: 'denied', call: CALL, code, executed, recorded: true };
}

describe('a result', () => {
  it.each([
    [
      {},
      '{"id":1,"jsonrpc":"2.0","result":{"_meta":{"dev.portcullis/receipt":{"call":"C","entry":3,"permit":"jti"}}}}',
    ],
    [
      { b: 1, a: [] },
      '{"id":1,"jsonrpc":"2.0","result":{"_meta":{"dev.portcullis/receipt":{"call":"C","entry":3,"permit":"jti"}},"a":[],"b":1}}',
    ],
    [
      { _meta: { x: 1 }, a: 1 },
      '{"id":1,"jsonrpc":"2.0","result":{"_meta":{"dev.portcullis/receipt":{"call":"C","entry":3,"permit":"jti"},"x":1},"a":1}}',
    ],
    [
      { _meta: { x: 1, 'dev.portcullis/denial': { code: 'POLICY_FORBID' }, 'dev.portcullis/receipt': { entry: 9 } } },
      '{"id":1,"jsonrpc":"2.0","result":{"_meta":{"dev.portcullis/receipt":{"call":"C","entry":3,"permit":"jti"},"x":1}}}',
    ],
  ])('%j keeps its bytes and gets its receipt', (result, expected) => {
    expect(released(result)).toBe(expected.replace('"C"', `"${CALL}"`));
  });
});

describe('an error of the tool', () => {
  it('keeps its data beside our receipt, and nothing that only we may say', () => {
    const data = { why: 'asked to', 'dev.portcullis/denial': { code: 'POLICY_FORBID' } };
    const receipt = { call: CALL, entry: 3, permit: 'jti' };
    const error = { code: -32050, message: 'it failed', data };
    expect(JSON.parse(toolCallReply(1, 'x', { kind: 'error', error, receipt }, HINTS))).toEqual({
      jsonrpc: '2.0',
      id: 1,
      error: { code: -32050, message: 'it failed', data: { why: 'asked to', 'dev.portcullis/receipt': receipt } },
    });
  });

  it.each([['text'], [7], [false], [null], [['a', {}]]])('keeps data that is no object: %j', (data) => {
    const error = { code: -32050, message: 'it failed', data: data as Json };
    expect(JSON.parse(toolCallReply(1, 'x', { kind: 'error', error, receipt }, HINTS)).error).toEqual(error);
  });

  it('has our receipt as its data where it has none', () => {
    const error = { code: -32050, message: 'it failed' };
    expect(JSON.parse(toolCallReply(1, 'x', { kind: 'error', error, receipt }, HINTS)).error).toEqual({
      ...error,
      data: { 'dev.portcullis/receipt': receipt },
    });
  });
});

describe('a denial', () => {
  proves('G9', 'tells of a tool that may not be known what it tells of one that does not exist', () => {
    expect(toolCallReply(1, 'x', denied('TOOL_UNKNOWN'), HINTS)).toBe(
      '{"error":{"code":-32602,"message":"Unknown tool: x"},"id":1,"jsonrpc":"2.0"}',
    );
  });

  it.each(CODES.filter((code) => code !== 'TOOL_UNKNOWN'))(
    '%s is a result that says so, on one line of JSON',
    (code) => {
      for (const executed of ['no', 'perhaps', 'yes'] as const) {
        const text = toolCallReply(1, 'x', denied(code, executed), HINTS);
        expect(text).not.toContain('\n');
        const { result } = JSON.parse(text) as {
          result: { isError: boolean; content: [{ text: string }]; _meta: JsonObject };
        };
        expect(result.isError).toBe(true);
        expect(result.content[0].text).toContain(code);
        expect(result.content[0].text.startsWith(`Denied by Portcullis (${code}): ${DENIALS[code].told}. `)).toBe(true);
        expect(result.content[0].text.includes('Not executed.')).toBe(executed === 'no');
        expect(result._meta['dev.portcullis/denial']).toEqual({ call: CALL, category: DENIALS[code].category, code });
      }
    },
  );

  it('names the file to edit only where there is no policy', () => {
    for (const code of CODES) {
      const says = toolCallReply(1, 'x', denied(code), HINTS).includes('/home/me');
      expect(says).toBe(code === 'GOV_POLICY_MISSING');
    }
  });

  it.each(CODES)(
    '%s of another method is an error with a code of JSON-RPC or one outside of what MCP reserves',
    (code) => {
      const { error } = JSON.parse(denialError(7, code, CALL)) as { error: { code: number; data: JsonObject } };
      expect(error.code === -32600 || error.code === -32601 || error.code === 40_300 + DENIALS[code].number).toBe(true);
      expect(error.data).toEqual({ 'dev.portcullis/denial': { call: CALL, category: DENIALS[code].category, code } });
    },
  );
});
