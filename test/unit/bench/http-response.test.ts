// The load client's own HTTP reader: a mistake in it would be blamed on a target.

import { describe, expect, it } from 'vitest';
import { type HttpResponse, HttpResponseReader } from '../../../bench/http-response.ts';

const FRAMED = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}';
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n3;x=y\r\n:1}\r\n0\r\n\r\n';
const EMPTY = 'HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n';
const TRAILED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"a":1}\r\n0\r\nX-Late: 1\r\n\r\n';

function read(...chunks: string[]): HttpResponse[] {
  const responses: HttpResponse[] = [];
  const reader = new HttpResponseReader((response) => responses.push(response));
  for (const chunk of chunks) reader.push(Buffer.from(chunk));
  return responses;
}

describe('the load client reading HTTP', () => {
  it('throws on what is not HTTP/1.1', () => {
    expect(() => read('SSH-2.0-x\r\n\r\n')).toThrow('not an HTTP/1.1 response');
    expect(() => read('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n')).toThrow('not a chunk size');
  });

  it.each([
    ['a body with its length', FRAMED, '{"a":1}'],
    ['a chunked body', CHUNKED, '{"a":1}'],
    ['a chunked body with a trailer', TRAILED, '{"a":1}'],
    ['no body', EMPTY, ''],
  ])('reads %s wherever the network cuts it', (_, text, body) => {
    for (let cut = 0; cut <= text.length; cut += 1) {
      expect(read(text.slice(0, cut), text.slice(cut)).map((response) => response.body)).toEqual([body]);
    }
    expect(read(...text).map((response) => response.body)).toEqual([body]);
  });

  it('reads the next response on the same connection, also from the same packet', () => {
    expect(read(EMPTY + CHUNKED, FRAMED).map(({ status, body }) => [status, body])).toEqual([
      [202, ''],
      [200, '{"a":1}'],
      [200, '{"a":1}'],
    ]);
  });
});
