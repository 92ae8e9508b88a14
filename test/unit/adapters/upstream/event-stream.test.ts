// Server-sent events: the same messages however the bytes were cut, and no more of one than its bound.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { EventStream } from '../../../../adapters/upstream/http/event-stream.ts';
import type { TooLarge } from '../../../../adapters/upstream/ports.ts';

function read(chunks: readonly Buffer[], eventBytesMax = 1_000_000) {
  const messages: string[] = [];
  let tooLarge = 0;
  const stream = new EventStream({
    onMessage: (data) => messages.push(data.toString()),
    eventBytesMax: () => eventBytesMax,
    onTooLarge: () => tooLarge++,
  });
  for (const chunk of chunks) stream.push(chunk);
  return { messages, tooLarge, id: stream.lastEventId, retry: stream.retryMs };
}

for (const [what, text, expected] of [
  ['one event', 'data: {"a":1}\n\n', ['{"a":1}']],
  ['a type and CRLF', 'event: message\r\ndata: x\r\n\r\n', ['x']],
  ['no space after the colon', 'data:x\n\n', ['x']],
  ['two spaces after the colon', 'data:  x\n\n', [' x']],
  ['several data lines', 'data: a\ndata: b\n\n', ['a\nb']],
  ['comments between', ': hello\n\ndata: x\n: there\n\n', ['x']],
  ['a byte order mark', '\ufeffdata: x\n\n', ['x']],
  ['another type', 'event: endpoint\ndata: /x\n\ndata: y\n\n', ['y']],
  ['an unknown field', 'more: z\ndata: x\n\n', ['x']],
  ['a field without a colon', 'data\n\n', []],
  ['an event without data', 'id: 1\ndata: \n\n', []],
  ['an event without its end', 'data: x\n', []],
  ['blank lines only', '\n\n\n', []],
] as const) {
  it(`reads ${what}`, () => {
    const bytes = Buffer.from(text);
    expect(read([bytes]).messages).toEqual(expected);
    expect(read(Array.from(bytes, (byte) => Buffer.from([byte]))).messages).toEqual(expected);
  });
}

it('remembers the last id and pause, and no id with a zero byte or of any length', () => {
  const start = 'id: a\nretry: 10\ndata: x\n\n';
  expect(read([Buffer.from(start)])).toMatchObject({ id: 'a', retry: 10 });
  const odd = `${start}id: b\0c\nretry: -1\n\nid: ${'i'.repeat(1025)}\nretry: soon\n\n`;
  expect(read([Buffer.from(odd)])).toMatchObject({ id: 'a', retry: 10 });
});

it('stops at an event that is too large, whole or in pieces, with or without an end', () => {
  for (const text of [`data: ${'x'.repeat(5_000)}\n\n`, `data: ${'x'.repeat(5_000)}`, 'data: x\n'.repeat(2_000)]) {
    expect(read([Buffer.from(`${text}data: later\n\n`)], 1_000)).toMatchObject({ messages: [], tooLarge: 1 });
    const pieces = Array.from(Buffer.from(text), (byte) => Buffer.from([byte]));
    expect(read(pieces, 1_000)).toMatchObject({ messages: [], tooLarge: 1 });
  }
});

it('skips an event that is too large where it is to live on, and shows its edges', () => {
  const large = `{"id":1,"x":"${'x'.repeat(5_000)}","end":2}`;
  const half = large.length >> 1;
  for (const [text, known] of [
    [`data: ${large}\n\n`, false],
    [`event: message\r\ndata:${large}\r\n\r\n`, false],
    [`data: ${large.slice(0, half)}\n: a comment\ndata: ${large.slice(half)}\nid: 7\n\n`, true],
  ] as const) {
    for (const size of [1, 7, 100_000]) {
      const messages: string[] = [];
      const seen: TooLarge[] = [];
      const stream = new EventStream({
        onMessage: (data) => messages.push(data.toString()),
        eventBytesMax: () => 1_000,
        onTooLarge: () => expect.unreachable(),
        skip: {
          bytesMax: 10_000,
          onTooLarge: (what) => {
            seen.push(what);
            return known;
          },
          onEndless: () => expect.unreachable(),
        },
      });
      const bytes = Buffer.from(`data: before\n\n${text}data: after\n\n`);
      for (let at = 0; at < bytes.length; at += size) stream.push(bytes.subarray(at, at + size));
      expect(messages).toEqual(['before', 'after']);
      expect(seen).toHaveLength(known ? 1 : 2);
      expect(seen[0]).toMatchObject({ head: large.slice(0, 256) });
      if (!known) expect(seen[1]).toMatchObject({ head: large.slice(0, 256), tail: large.slice(-256) });
    }
  }
});

it('gives up on an event that has no end', () => {
  let endless = 0;
  const messages: string[] = [];
  const stream = new EventStream({
    onMessage: (data) => messages.push(data.toString()),
    eventBytesMax: () => 1_000,
    onTooLarge: () => expect.unreachable(),
    skip: { bytesMax: 10_000, onTooLarge: () => true, onEndless: () => endless++ },
  });
  for (let sent = 0; sent < 30; sent++) stream.push(Buffer.from(`data: ${'x'.repeat(1_000)}\n`));
  stream.push(Buffer.from('\ndata: later\n\n'));
  expect({ endless, messages }).toEqual({ endless: 1, messages: [] });
});

it('tells of events of other types to whom asks for them', () => {
  const others: string[][] = [];
  const stream = new EventStream({
    onMessage: () => expect.unreachable(),
    eventBytesMax: () => 1_000,
    onTooLarge: () => expect.unreachable(),
    onOther: (type, data) => others.push([type, data.toString()]),
  });
  stream.push(Buffer.from('event: endpoint\ndata: /messages?id=1\n\nevent: endpoint\n\n'));
  expect(others).toEqual([['endpoint', '/messages?id=1']]);
});

it('does not count comments that keep a stream alive', () => {
  const { messages, tooLarge } = read([Buffer.from(`${': still here\n'.repeat(1_000)}data: x\n\n`)], 1_000);
  expect({ messages, tooLarge }).toEqual({ messages: ['x'], tooLarge: 0 });
});

it('reads the same messages however the bytes were cut', () => {
  const message = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((text) => !/[\r\n]/.test(text) && !text.startsWith(' '));
  fc.assert(
    fc.property(fc.array(message), fc.nat({ max: 20 }), (messages, size) => {
      const bytes = Buffer.from(messages.map((text) => `data: ${text}\n\n`).join(''));
      const chunks: Buffer[] = [];
      for (let i = 0; i < bytes.length; i += size + 1) chunks.push(bytes.subarray(i, i + size + 1));
      expect(read(chunks).messages).toEqual(messages);
    }),
  );
});
