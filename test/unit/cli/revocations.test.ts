import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StateDocumentRefused } from '../../../adapters/storage/state-document.ts';
import { openRevocations } from '../../../cli/revocations.ts';
import { Revocations } from '../../../control-plane/permits/revocations.ts';
import type { EntryBody } from '../../../domain/entry.ts';
import { encodeEntry, prepareBody } from '../../../ledger/entry-line.ts';
import { Governance } from '../../../proxy/governance.ts';
import { proves } from '../../guarantees.ts';

const SECRET = new Uint8Array(32).fill(7);

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'portcullis-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** One run of a gate as far as revocations are concerned. What it records lies in its ledger, as lines. */
async function run({ name = 'g', secret = SECRET, recording = true } = {}) {
  const folder = { name, folder: root, ledger: join(root, 'ledger') };
  await mkdir(join(folder.ledger, 'seg'), { recursive: true });
  const segment = join(folder.ledger, 'seg', '000000000000.jsonl');
  const revocations = new Revocations();
  const governance = new Governance('01KAJ0000000000000000B0001', ['revocations']);
  const notes: string[] = [];
  let writable = recording;
  const append = async (body: EntryBody) => {
    if (!writable) throw new Error('no space');
    writeFileSync(segment, `${lineOf(body)}\n`, { flag: 'a' });
    return { seq: 0, leaf: 'sha256:' as const } as never;
  };
  const durable = await openRevocations({
    folder,
    secret,
    revocations,
    governance,
    recorder: { append },
    clock: { now: () => 1_790_000_000_000 },
    note: (text) => notes.push(text),
  });
  return {
    add: durable.add,
    revocations,
    governance,
    notes,
    append,
    recording: (on: boolean) => {
      writable = on;
    },
  };
}

function lineOf(body: EntryBody): string {
  const header = {
    v: 1,
    log: 'portcullis.example/gate',
    seq: 1,
    prev: 'sha256:P8DMYirilDe9yrjqMa3Cz4yiXG6U33fzIinF3sFdAu0',
    epoch: 1,
    ts: '2026-01-01T00:00:01.500Z',
    mono: 1,
  } as const;
  return Buffer.from(encodeEntry(header, prepareBody(body))).toString();
}

const document = () => join(root, 'revocations.json');
const recorded = (): unknown[] =>
  readFileSync(join(root, 'ledger', 'seg', '000000000000.jsonl'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

describe('the revocations of a gate', () => {
  proves(
    'G4',
    'that are gone, cut, altered, of another gate or older than the ledger knows keep the gate shut',
    async () => {
      const first = await run();
      await first.add('agent', 'mallory');
      const old = readFileSync(document());
      await first.add('tool', 'fs/write_file');
      const whole = readFileSync(document());

      rmSync(document());
      await expect(run()).rejects.toThrow('revocations.json is gone');
      for (const [bytes, because] of [
        [old, 'is older than it was'],
        [whole.subarray(0, -1), 'canonical form'],
        [whole.subarray(0, 40), 'is torn'],
        [Buffer.from(whole.toString().replace('mallory', 'mallorx')), 'was altered'],
      ] as const) {
        writeFileSync(document(), bytes);
        const refused = await run().then(
          () => undefined,
          (error: unknown) => error,
        );
        expect(refused).toBeInstanceOf(StateDocumentRefused);
        expect(String(refused)).toContain(because);
      }
      writeFileSync(document(), whole);
      await expect(run({ name: 'other' })).rejects.toThrow('another key');
      await expect(run({ secret: new Uint8Array(32) })).rejects.toThrow('another key');
      expect((await run()).revocations.number).toBe(2);
    },
  );

  it('are gone for a ledger that only holds a permit minted under them', async () => {
    const first = await run({ recording: false });
    first.recording(true);
    const claims = Buffer.from(JSON.stringify({ gov: { rev: 1 } })).toString('base64url');
    await first.append({ type: 'call.intent', events: [{ type: 'decision.allowed', permit: `e30.${claims}.AA` }] });
    await expect(run()).rejects.toThrow('gone');
  });

  it('are unknown to a ledger whose last intent says nothing about them, or is no entry: it is refused', async () => {
    const first = await run();
    await first.append({ type: 'call.intent', events: [] });
    await expect(run()).rejects.toThrow('which revocations were in force');
    const segment = join(root, 'ledger', 'seg', '000000000000.jsonl');
    writeFileSync(segment, readFileSync(segment, 'utf8').replace('"epoch":1', '"epoch":01'));
    await expect(run()).rejects.toThrow('was altered');
  });

  proves('G4', 'that cannot be made durable shut the gate', async () => {
    const gate = await run();
    rmSync(root, { recursive: true });
    await expect(gate.add('agent', 'mallory')).rejects.toThrow('ENOENT');
    expect(gate.governance.reason).toMatchObject({ guard: 'revocations', code: 'GOV_REVOCATION_STALE' });
    expect(gate.revocations.number).toBe(0);
  });

  it('with an id that cannot be one are refused, and the gate stays as it was', async () => {
    const gate = await run();
    for (const id of ['', 'x'.repeat(1_025)]) await expect(gate.add('agent', id)).rejects.toThrow();
    await gate.add('agent', 'x'.repeat(1_024));
    expect(gate.governance.reason).toBeUndefined();
  });

  it('are in force in the next run before the gate opens, whatever their kind', async () => {
    const first = await run();
    expect(first.governance.live()).toMatchObject({ revocation: 0, revocationsFresh: true });
    await Promise.all([first.add('agent', 'mallory'), first.add('key', 'kid'), first.add('policy', 'sha256:x')]);
    expect(first.governance.live().revocation).toBe(3);
    const next = await run();
    expect(next.governance.live()).toMatchObject({ revocation: 3, revocationsFresh: true });
    expect([next.revocations.has('agent', 'mallory'), next.revocations.has('key', 'kid')]).toEqual([true, true]);
    expect(next.revocations.has('agent', 'me')).toBe(false);
    expect(recorded()).toMatchObject([
      { type: 'revocation.added', number: 1, kind: 'agent', id: 'mallory' },
      { number: 2, kind: 'key' },
      { number: 3, kind: 'policy' },
    ]);
  });

  it('are in force without the ledger, and are recorded with the next one or at the next start', async () => {
    const first = await run({ recording: false });
    await first.add('agent', 'a');
    expect([first.governance.live().revocation, first.notes.length]).toEqual([1, 1]);
    first.recording(true);
    await first.add('agent', 'b');
    expect(recorded()).toMatchObject([{ number: 1 }, { number: 2 }]);
    first.recording(false);
    await first.add('agent', 'c');
    await run();
    expect(recorded()).toMatchObject([{ number: 1 }, { number: 2 }, { number: 3, id: 'c' }]);
  });
});
