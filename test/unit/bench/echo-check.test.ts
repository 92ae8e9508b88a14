// A target that is fast and wrong must not win: each way of being wrong is seen.

import { describe, expect, it } from 'vitest';
import { faultOf, messageIn } from '../../../bench/echo-check.ts';

function answer(id: number, result: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id, result });
}

const right = { content: [{ type: 'text', text: 'bench 7 xx' }] };

describe('the check of an answer', () => {
  it.each([
    ['bytes that are not JSON', '{"jsonrpc"', 'not JSON'],
    ['an answer to another call', answer(8, right), 'another call'],
    ['an error', JSON.stringify({ jsonrpc: '2.0', id: 7, error: { code: -1, message: 'no' } }), 'an error'],
    ['a refusal', answer(7, { content: [{ type: 'text', text: 'no' }], isError: true }), 'refused'],
    ['another text', answer(7, { content: [{ type: 'text', text: 'bench 6 xx' }] }), 'another text'],
    ['no text at all', answer(7, { content: [] }), 'another text'],
    ['nothing', '', 'not JSON'],
  ])('refuses %s', (_, message, fault) => {
    expect(faultOf(message, 7, 'bench 7 xx')).toContain(fault);
  });

  it('accepts the echo, whatever stands beside it', () => {
    expect(faultOf(answer(7, { ...right, _meta: { call: 'x' } }), 7, 'bench 7 xx')).toBeUndefined();
  });

  it('finds the message of the call among the events of a stream', () => {
    const note = 'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/message"}\n\n';
    const stream = `id: 1\ndata:\n\n${note}event: message\ndata: ${answer(7, right)}\n\n`;
    expect(faultOf(messageIn(stream, true, 7), 7, 'bench 7 xx')).toBeUndefined();
    expect(messageIn(note, true, 7)).toBe('');
  });
});
