import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../domain/canonical-json.ts';
import type { EntryBody, EntryHeader } from '../../../domain/entry.ts';
import type { JsonObject } from '../../../domain/json.ts';
import { toDigest } from '../../../ledger/base64.ts';
import { utf8 } from '../../../ledger/bytes.ts';
import { decodeEntry, encodeEntry, findHeader, prepareBody } from '../../../ledger/entry-line.ts';
import { commitLine, LineSplitter, parseCommitLine, parseSegmentName, segmentName } from '../../../ledger/segment.ts';
import { sha256 } from '../../support/ledger.ts';

const RESERVED = new Set([
  'epoch',
  'log',
  'mono',
  'prev',
  'seq',
  'ts',
  'v',
  'type',
  '__proto__',
  'constructor',
  'prototype',
]);
const digest = toDigest(sha256(Buffer.from('x')));

const header = fc.record<EntryHeader>({
  v: fc.constant(1),
  log: fc.constant('portcullis.test/gate'),
  seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  prev: fc.constant(digest),
  epoch: fc.nat(),
  ts: fc.constant('2026-01-02T03:04:05.678Z'),
  mono: fc.nat(),
});

const name = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('args', 'mz', 'permit', 'prev2', 'seqs', 'zz', '"prev":', 'p"rev'),
);
const field = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.string()),
  fc.constant({ prev: 'nested', seq: 7, deeper: [{ prev: null, seq: 8 }] } as JsonObject),
  fc.constant('"prev":"sha256:x","seq":9'),
  fc.constant('ends with a backslash \\'),
);
const body = fc
  .dictionary(
    name.filter((each) => !RESERVED.has(each)),
    field,
  )
  .map((fields) => ({ ...fields, type: 'some.type' }) as EntryBody);

describe('the line of an entry', () => {
  it('is the canonical JSON of header and body, whatever their names', () => {
    fc.assert(
      fc.property(header, body, (head, content) => {
        const line = encodeEntry(head, prepareBody(content));
        expect(line).toBe(canonicalJson({ ...head, ...content } as JsonObject));
        expect(prepareBody(content).bytes).toBeGreaterThanOrEqual(utf8(canonicalJson(content)).length - 1);
        expect(decodeEntry(utf8(line))).toEqual(JSON.parse(line));
      }),
    );
  });

  it('shows prev and seq to whoever does not parse it, and only those of the entry itself', () => {
    fc.assert(
      fc.property(header, body, (head, content) => {
        const line = utf8(encodeEntry(head, prepareBody(content)));
        const places = findHeader(line);
        expect(places?.seq).toBe(head.seq);
        expect(Buffer.from(line.subarray(places?.prev ?? 0)).toString()).toMatch(new RegExp(`^"${digest}"`));
      }),
    );
  });

  it('is never read in another spelling', () => {
    const line = encodeEntry(
      { v: 1, log: 'l', seq: 1, prev: digest, epoch: 1, ts: '2026-01-02T03:04:05.678Z', mono: 1 },
      prepareBody({ type: 'x', n: 10 }),
    );
    expect(decodeEntry(utf8(line))?.seq).toBe(1);
    for (const [from, to] of [
      ['"n":10', '"n":1e1'],
      ['"n":10', '"n": 10'],
      ['"n":10', '"n":10,"n":10'],
      ['{', '{ '],
      ['"v":1', '"v":1,"w":1'.replace(',"w":1', ',"a":1')],
      ['"v":1', '"v":2'],
      ['"x"', '"\\u0078"'],
      ['"seq":1', '"seq":-1'],
      ['"seq":1', '"seq":0'],
      [`"${digest}"`, 'null'],
      [digest, 'sha256:short'],
      ['.678Z', 'Z'],
      ['"mono":1,', ''],
    ] as const) {
      expect(decodeEntry(utf8(line.replace(from, to)))).toBeUndefined();
    }
  });
});

describe('segments', () => {
  it('have one name for one number', () => {
    for (const seq of [0, 1, 65_536, 999_999_999_999, 1_000_000_000_000])
      expect(parseSegmentName(segmentName(seq))).toBe(seq);
    for (const other of [
      '0.jsonl',
      '000000000000.json',
      '0000000000001.jsonl',
      'x00000000000.jsonl',
      '000000000000.jsonl.new',
    ]) {
      expect(parseSegmentName(other)).toBeUndefined();
    }
  });

  it('give back their lines however they are cut into chunks', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\n'))),
        fc.array(fc.integer({ min: 1, max: 9 })),
        (texts, cuts) => {
          const bytes = utf8(texts.map((text) => `${text}\n`).join(''));
          const found: string[] = [];
          const splitter = new LineSplitter(5, (line, offset) => {
            found.push(Buffer.from(line).toString());
            expect(Buffer.from(bytes.subarray(offset - 5, offset - 5 + line.length))).toEqual(Buffer.from(line));
          });
          let at = 0;
          for (const cut of cuts) {
            splitter.push(bytes.subarray(at, at + cut));
            at += cut;
          }
          splitter.push(bytes.subarray(at));
          expect(found).toEqual(texts);
          expect(splitter.rest.bytes).toBe(0);
        },
      ),
    );
  });

  it('have commit lines in one spelling', () => {
    const line = commitLine('log\n1\n\n\u2014 log AAAA\n');
    expect(parseCommitLine(utf8(line))).toBe('log\n1\n\n\u2014 log AAAA\n');
    for (const other of [
      `${line} `,
      line.replace('\u2014', '\\u2014'),
      line.replace(',', ', '),
      line.replace(']', ',1]'),
      '["cp"]',
      '["CP","x"]',
      '{}',
    ]) {
      expect(parseCommitLine(utf8(other))).toBeUndefined();
    }
  });
});
