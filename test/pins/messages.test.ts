// What clients read of us: the receipt of a result and the denial of a call, with their keys in `_meta` and their words.

import { expect, it } from 'vitest';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { denialError } from '../../proxy/client-view.ts';
import { META_PREFIX } from '../../proxy/own-name.ts';
import { toolCallReply } from '../support/call-reply.ts';
import { pinned } from './pinned.ts';

const CALL = '01KAJ0000000000000000000AA';
const HINTS = { missingPolicy: 'Edit ~/portcullis.yaml' };
const receipt = { call: CALL, entry: 7, permit: 'jE8vGQkITFrBY8vOXWZM_g' };

it('messages are exactly these', () => {
  expect(META_PREFIX).toBe('dev.portcullis/');
  const plain = { content: [{ type: 'text', text: 'hi' }] };
  const withMeta = { ...plain, _meta: { theirs: 1 } };
  const result = (value: typeof plain) =>
    toolCallReply(
      1,
      'x',
      { kind: 'result', type: 'complete', result: value, resultJson: canonicalJson(value), receipt },
      HINTS,
    );
  const denied = (code: Parameters<typeof denialError>[1], executed: 'no' | 'perhaps' | 'yes') =>
    toolCallReply('a', 'x', { kind: 'denied', call: CALL, code, executed, recorded: true }, HINTS);
  expect([
    result(plain),
    result(withMeta),
    toolCallReply(1, 'x', { kind: 'error', error: { code: -32050, message: 'it failed' }, receipt }, HINTS),
    denied('POLICY_NO_PERMIT', 'no'),
    denied('GOV_POLICY_MISSING', 'no'),
    denied('GOV_LEDGER_UNWRITABLE', 'no'),
    denied('TOOL_LOST', 'perhaps'),
    denied('OUTPUT_INVALID', 'yes'),
    denied('TOOL_UNKNOWN', 'no'),
    denialError(2, 'METHOD_UNKNOWN', CALL),
    denialError(null, 'MESSAGE_MALFORMED', CALL),
    denialError(3, 'OVERLOADED', CALL),
  ]).toEqual(pinned('messages.jsonl'));
});
