// What a header may say for a message, and what it may not.

import { describe, expect, it } from 'vitest';
import { withCarried } from '../../../../adapters/downstream/carried.ts';
import type { Json } from '../../../../domain/json.ts';

const KEY = 'dev.portcullis/lineage';
const HEADERS = { 'portcullis-lineage': 'a.b.c' };
const call = (meta?: Json, id = 1): Json => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'x', ...(meta === undefined ? {} : { _meta: meta }) },
});

describe('a token in a header', () => {
  it.each<[string, Json]>([
    ['another one', call({ [KEY]: 'd.e.f' })],
    ['something else', call({ [KEY]: 7 })],
    ['nothing', call({ [KEY]: null })],
    ['another one in one message of a batch', [call(), call({ [KEY]: 'd.e.f' }, 2)]],
  ])('is not believed where the message says %s', (_, message) => {
    expect(withCarried(message, HEADERS)).toMatchObject({ mismatched: { method: 'tools/call' } });
  });

  it.each<[string, Json]>([
    ['is no request', [1, 'x', null]],
    ['is a member called like our own words', { mismatched: {}, message: {} }],
    ['has no method', { id: 1 }],
    ['is not governed', { id: 1, method: 'tools/list', params: {} }],
    ['has params that are none', { id: 1, method: 'tools/call', params: [] }],
    ['has a _meta that is none', { id: 1, method: 'tools/call', params: { _meta: 'x' } }],
  ])('changes nothing of what %s', (_, message) => {
    expect(withCarried(message, HEADERS)).toEqual({ message });
  });

  it('stands in the message from then on', () => {
    expect(withCarried(call(), HEADERS)).toEqual({ message: call({ [KEY]: 'a.b.c' }) });
    expect(withCarried(call({ [KEY]: 'a.b.c', more: 1 }), HEADERS)).toEqual({
      message: call({ [KEY]: 'a.b.c', more: 1 }),
    });
    expect(withCarried([call(), call(undefined, 2)], HEADERS)).toEqual({
      message: [call({ [KEY]: 'a.b.c' }), call({ [KEY]: 'a.b.c' }, 2)],
    });
    expect(withCarried({ id: 1, method: 'tools/call' }, HEADERS)).toEqual({
      message: { id: 1, method: 'tools/call', params: { _meta: { [KEY]: 'a.b.c' } } },
    });
  });

  it('that is not there leaves the very same message', () => {
    const message = call({ [KEY]: 7 });
    expect(withCarried(message, {})).toEqual({ message });
    expect(withCarried(message, undefined)).toEqual({ message });
  });
});

describe('what tracing says in headers', () => {
  const TRACE = { traceparent: '00-a-b-01', tracestate: 'v=1', baggage: 'user=a' };

  it.each<[string, Record<string, string>]>([
    ['twice, joined', { traceparent: '00-a-b-01, 00-c-d-01' }],
    ['at length', { traceparent: 'x'.repeat(129), tracestate: 'x'.repeat(513), baggage: 'x'.repeat(8_193) }],
    ['in other characters', { tracestate: 'v=\u00e4', baggage: 'a\tb' }],
    ['as nothing', { traceparent: '', tracestate: '', baggage: '' }],
  ])('is left out where it comes %s', (_, headers) => {
    expect(withCarried(call(), headers)).toEqual({ message: call() });
  });

  it('stands in the message from then on, where that does not say it itself', () => {
    expect(withCarried(call(), TRACE)).toEqual({ message: call(TRACE) });
    const own = { traceparent: 'own', baggage: 7 };
    expect(withCarried(call(own), TRACE)).toEqual({ message: call({ ...TRACE, ...own }) });
    expect(withCarried(call(), { ...TRACE, ...HEADERS })).toEqual({ message: call({ ...TRACE, [KEY]: 'a.b.c' }) });
  });
});
