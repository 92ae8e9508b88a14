import { describe, expect, it } from 'vitest';
import { carriedHeaders } from '../../../../adapters/upstream/carried-headers.ts';

describe('the headers of a message to a server', () => {
  it.each<[string, object]>([
    ['nothing', {}],
    ['what is no text', { traceparent: 1, tracestate: null, baggage: {}, 'dev.portcullis/lineage': 7 }],
    ['what would be a header of its own', { traceparent: 'a\r\nauthorization: x', baggage: 'a\nb', tracestate: 'a\0' }],
    ['more than anybody carries', { traceparent: 'x'.repeat(129), baggage: 'x'.repeat(8_193) }],
    ['what is a header by name only', { authorization: 'Bearer x', host: 'x', 'portcullis-lineage': 'x' }],
  ])('say nothing of %s', (_, meta) => {
    expect(carriedHeaders(meta as never)).toBeUndefined();
  });

  it('say what tracing says, and the token of an agent', () => {
    const trace = { traceparent: '00-a-b-01', tracestate: 'v=1', baggage: 'user=a' };
    expect(carriedHeaders({ ...trace, more: 1 })).toEqual(trace);
    expect(carriedHeaders({ 'dev.portcullis/lineage': 'a.b.c' })).toEqual({ 'portcullis-lineage': 'a.b.c' });
  });
});
