import { beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../adapters/storage/memory-store.ts';
import { canonicalJson } from '../../../domain/canonical-json.ts';
import { toDigest } from '../../../ledger/base64.ts';
import { utf8 } from '../../../ledger/bytes.ts';
import { openCheckpoint, signCheckpoint } from '../../../ledger/checkpoint.ts';
import { GrowingTree } from '../../../ledger/merkle-tree.ts';
import { commitLine } from '../../../ledger/segment.ts';
import { proves } from '../../guarantees.ts';
import { ORIGIN, testKey } from '../../support/ledger.ts';
import {
  auditFiles,
  type FoundLine,
  hasher,
  linesOf,
  sampleLedger,
  spliced,
  tampered,
} from '../../support/memory-ledger.ts';

const key = testKey();
let sample: Awaited<ReturnType<typeof sampleLedger>>;
let lines: readonly FoundLine[];

beforeAll(async () => {
  sample = await sampleLedger(key);
  lines = linesOf(sample.files);
});

const opened = (note: string) =>
  openCheckpoint(note, ORIGIN, key.verifier) as NonNullable<ReturnType<typeof openCheckpoint>>;
const last = () => opened(sample.notes.at(-1) as string);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

/** The lines of one batch: its entries and their commit line. */
function batchOf(number: number): readonly FoundLine[] {
  let batch = 0;
  return lines.filter((line) => {
    const mine = batch === number;
    if (line.commit) batch += 1;
    return mine;
  });
}

/** The commit line once more behind itself; `edited` also writes every later entry anew, with a chain that fits. */
function repeatedCommit(commit: FoundLine, edited: boolean): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  let behind = false;
  let prev = '';
  for (const line of lines) {
    let bytes = Buffer.from(line.bytes);
    if (!line.commit && behind && edited) {
      const rewritten = text(line.bytes)
        .replace('"mono":', '"mono":1')
        .replace(/"prev":"[^"]+"/, `"prev":"${prev}"`);
      bytes = Buffer.from(rewritten);
    }
    if (!line.commit) prev = toDigest(hasher.leaf(bytes));
    const again = line === commit ? [bytes, '\n'] : [];
    behind ||= line === commit;
    const before = files.get(line.path) ?? new Uint8Array(0);
    files.set(line.path, Buffer.concat([before, ...[bytes, '\n', ...again].map((part) => Buffer.from(part))]));
  }
  return files;
}

describe('an untouched ledger', () => {
  it.each(['every', 'last'] as const)('is in order when %s signature is checked', async (signatures) => {
    for (const deep of [true, false]) {
      const report = await auditFiles(sample.files, key, { signatures, deep, trusted: sample.notes.map(opened) });
      expect(report).toEqual({ ok: true, findings: [], size: sample.size, checkpoint: sample.notes.at(-1) });
    }
  });

  it('is not in order for the holder of another key', async () => {
    const report = await auditFiles(sample.files, testKey());
    expect(report.ok).toBe(false);
    expect(new Set(report.findings.map((finding) => finding.kind))).toContain('checkpoint');
  });
});

describe('an edited ledger', () => {
  proves('G7', 'the audit names exactly the entry that was edited, with its file, line and byte', async () => {
    for (const line of lines.filter((each) => !each.commit)) {
      for (const [from, to] of [
        ['"type":"', '"type":"X'],
        ['"v":1', '"v":2'],
        ['"mono":', '"mono":1'],
      ] as const) {
        const changed = Buffer.from(text(line.bytes).replace(from, to));
        const files = tampered(sample.files, line.path, (bytes) =>
          spliced(bytes, line.offset, line.offset + line.bytes.length, changed),
        );
        const report = await auditFiles(files, key, { trusted: [last()] });
        expect(report.findings).toMatchObject([
          { kind: 'changed', seq: line.seq, segment: line.path.slice(4), line: line.line, offset: line.offset },
        ]);
      }
    }
  });

  it('is named for the entry whose prev or seq was edited, not for its neighbour', async () => {
    const entries = lines.filter((each) => !each.commit && each.seq > 0);
    for (const line of entries) {
      for (const change of [
        (old: string) =>
          old.replace(/"prev":"sha256:./, (found) => `${found.slice(0, -1)}${found.endsWith('A') ? 'B' : 'A'}`),
        (old: string) => old.replace(/"seq":\d+,"t/, '"seq":77,"t'),
      ]) {
        const changed = Buffer.from(change(text(line.bytes)));
        const files = tampered(sample.files, line.path, (bytes) =>
          spliced(bytes, line.offset, line.offset + line.bytes.length, changed),
        );
        const report = await auditFiles(files, key);
        expect(report.findings.map(({ kind, seq }) => ({ kind, seq }))).toEqual([{ kind: 'changed', seq: line.seq }]);
      }
    }
  });

  it('shows every edited entry when there are several', async () => {
    let files = sample.files;
    const edited = [2, 3, 9, 14];
    for (const line of lines.filter((each) => !each.commit && edited.includes(each.seq))) {
      const at = line.offset + Buffer.from(line.bytes).indexOf('"epoch":') + 8;
      files = tampered(files, line.path, (bytes) => spliced(bytes, at, at + 1, Buffer.from('7')));
    }
    const report = await auditFiles(files, key);
    expect(report.findings.map(({ kind, seq }) => ({ kind, seq }))).toEqual(
      edited.map((seq) => ({ kind: 'changed', seq })),
    );
  });

  proves('G7', 'a flipped bit anywhere in the ledger is found', async () => {
    const random = seededRandom(7);
    for (const path of [...sample.files.keys()].filter((each) => each.startsWith('seg/'))) {
      const length = (sample.files.get(path) as Uint8Array).length;
      for (let at = 0; at < length; at += 1 + Math.floor(random() * 16)) {
        const bit = 1 << Math.floor(random() * 8);
        const files = tampered(sample.files, path, (bytes) => {
          bytes[at] = (bytes[at] as number) ^ bit;
          return bytes;
        });
        expect({ path, at, bit, ok: (await auditFiles(files, key)).ok }).toEqual({ path, at, bit, ok: false });
      }
    }
  });
});

describe('a ledger that is put together anew', () => {
  const without = (path: string, batch: readonly FoundLine[]) => {
    const [start, end] = [batch[0] as FoundLine, batch.at(-1) as FoundLine];
    return tampered(sample.files, path, (bytes) =>
      spliced(bytes, start.offset, end.offset + end.bytes.length + 1, new Uint8Array(0)),
    );
  };

  proves('G7', 'a dropped entry or batch is found, and its numbers are named', async () => {
    for (let number = 0; number < 8; number++) {
      const batch = batchOf(number);
      const report = await auditFiles(without((batch[0] as FoundLine).path, batch), key, { trusted: [last()] });
      expect(report.findings.map((finding) => finding.kind)).toContain('missing');
      expect(report.findings[0]?.seq).toBe(batch[0]?.seq);
      for (const line of batch.filter((each) => !each.commit)) {
        const dropped = await auditFiles(without(line.path, [line]), key);
        expect(dropped.findings.find((finding) => finding.kind === 'missing')?.seq).toBe(line.seq);
      }
    }
  });

  proves('G7', 'swapped and repeated batches are found', async () => {
    for (let number = 1; number < 8; number++) {
      const [a, b] = [batchOf(number), batchOf(number + 1)];
      const path = (a[0] as FoundLine).path;
      const [start, middle] = [(a[0] as FoundLine).offset, (b[0] as FoundLine).offset];
      const lastOf = b.at(-1) as FoundLine;
      const end = lastOf.offset + lastOf.bytes.length + 1;
      if ((b[0] as FoundLine).path !== path) continue;
      const swapped = tampered(sample.files, path, (bytes) =>
        spliced(bytes, start, end, Buffer.concat([bytes.slice(middle, end), bytes.slice(start, middle)])),
      );
      expect((await auditFiles(swapped, key)).findings.map((finding) => finding.kind)).toContain('out_of_place');
      const repeated = tampered(sample.files, path, (bytes) => spliced(bytes, end, end, bytes.slice(middle, end)));
      expect((await auditFiles(repeated, key)).findings.map((finding) => finding.kind)).toContain('out_of_place');
    }
  });

  proves('G7', 'a repeated commit line is found, and hides nothing that is done behind it', async () => {
    for (const commit of lines.filter((each) => each.commit)) {
      for (const edited of [false, true]) {
        const files = repeatedCommit(commit, edited);
        const report = await auditFiles(files, key, { trusted: [last()], deep: true });
        expect(report.findings[0]).toMatchObject({ kind: 'out_of_place', segment: commit.path.slice(4) });
        // Without a checkpoint from earlier it is seen as well.
        expect((await auditFiles(files, key)).ok).toBe(false);
      }
    }
  });

  it('has a finding when a whole segment is missing or renamed', async () => {
    const paths = [...sample.files.keys()].sort();
    for (const path of paths.slice(0, -1)) {
      const files = new Map(sample.files);
      files.delete(path);
      expect((await auditFiles(files, key)).findings[0]?.kind).toBe('missing');
    }
    const renamed = new Map(sample.files).set(
      'seg/000000000001.jsonl',
      sample.files.get(paths[0] as string) as Uint8Array,
    );
    renamed.delete(paths[0] as string);
    expect((await auditFiles(renamed, key)).ok).toBe(false);
  });

  proves(
    'G7',
    'a ledger cut off anywhere, also behind a commit line, is found by whoever holds an earlier checkpoint',
    async () => {
      for (let number = 0; number < 8; number++) {
        const { path, offset, bytes } = batchOf(number).at(-1) as FoundLine;
        const files = tampered(sample.files, path, (old) => old.slice(0, offset + bytes.length + 1));
        for (const later of [...files.keys()].filter((each) => each > path)) files.delete(later);
        // Nothing inside the ledger can show it.
        expect((await auditFiles(files, key)).ok).toBe(true);
        const report = await auditFiles(files, key, { trusted: [last()] });
        expect(report.findings.map((finding) => finding.kind)).toEqual(['truncated']);
      }
    },
  );

  proves(
    'G7',
    'two continuations of one log are told apart by a checkpoint of either, also when the key signed both',
    async () => {
      const other = await sampleLedger(key);
      const report = await auditFiles(other.files, key, { trusted: sample.notes.map(opened) });
      expect(report.findings.map((finding) => finding.kind)).toContain('forked');
      expect((await auditFiles(other.files, key)).ok).toBe(true);
    },
  );

  it('shows lines behind the last commit line as unfinished', async () => {
    const path = [...sample.files.keys()].sort().at(-1) as string;
    for (const tail of ['{"half', '{"whole":1}\n', '\0\0\0']) {
      const files = tampered(sample.files, path, (bytes) => new Uint8Array(Buffer.concat([bytes, Buffer.from(tail)])));
      const report = await auditFiles(files, key);
      expect(report.findings.at(-1)?.kind).toBe('unfinished');
      expect(report.size).toBe(sample.size);
    }
  });
});

describe('a ledger with foreign bytes in it', () => {
  it('has findings at the right places behind a line of any length', async () => {
    for (const length of [1, 5_000, 70_000, 700_000]) {
      const second = lines.find((line) => line.seq === 1) as FoundLine;
      const foreign = Buffer.from(`${'z'.repeat(length)}\n`);
      const files = tampered(sample.files, second.path, (bytes) =>
        spliced(bytes, second.offset, second.offset, foreign),
      );
      const { findings } = await auditFiles(files, key);
      expect(findings[0]).toMatchObject({ kind: 'malformed', line: second.line, offset: second.offset });
      const moved = findings.find((finding) => finding.line === second.line + 1);
      expect(moved?.offset).toBe(second.offset + foreign.length);
    }
  });

  it('does not grow in memory without end when it holds no commit lines', async () => {
    const files = new Map([['seg/000000000000.jsonl', Buffer.from('{}\n'.repeat(200_000))]]);
    const { findings } = await auditFiles(files, key);
    expect(findings.filter((finding) => finding.detail === 'a batch without end')).toHaveLength(3);
    expect(findings.at(-1)?.kind).toBe('unfinished');
  });
});

describe('a deep audit', () => {
  it('finds entries that the writer itself wrote out of form, which no hash can show', async () => {
    const form = {
      v: 1,
      log: ORIGIN,
      prev: null,
      seq: 0,
      epoch: 1,
      ts: '2026-01-01T00:00:00.000Z',
      mono: 0,
      type: 'x',
    };
    const good = canonicalJson(form);
    for (const [line, deep, quick] of [
      [good, true, true],
      [good.replace('"epoch":1', '"epoch":1.0'), false, true],
      [canonicalJson({ ...form, log: 'another' }), false, true],
      [canonicalJson({ ...form, ts: 'yesterday' }), false, true],
      [canonicalJson({ ...form, seq: 1, prev: `sha256:${'A'.repeat(43)}` }), false, false],
      ['{}', false, false],
    ] as const) {
      const fresh = new GrowingTree(hasher);
      fresh.append(hasher.leaf(utf8(line)));
      const signed = commitLine(signCheckpoint({ origin: ORIGIN, size: 1, root: fresh.root() }, key.signer));
      const files = new Map([['seg/000000000000.jsonl', utf8(`${line}\n${signed}\n`)]]);
      expect({ line, ok: (await auditFiles(files, key, { deep: true })).ok }).toEqual({ line, ok: deep });
      expect({ line, ok: (await auditFiles(files, key)).ok }).toEqual({ line, ok: quick });
    }
  });
});
