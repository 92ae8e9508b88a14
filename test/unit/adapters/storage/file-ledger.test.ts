import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileLedgerOptions, Ledger } from '../../../../adapters/storage/file-ledger.ts';
import { acquireFileLock } from '../../../../adapters/storage/file-lock.ts';
import {
  findLines,
  ledgerSegments,
  proveEntries,
  readEntries,
  readPayloads,
} from '../../../../adapters/storage/ledger-reader.ts';
import { verifyLedger } from '../../../../ledger/audit.ts';
import { concatBytes } from '../../../../ledger/bytes.ts';
import { formatProof, verifyProof } from '../../../../ledger/proof.ts';
import { decodeBundle } from '../../../../ledger/tile.ts';
import { proves } from '../../../guarantees.ts';
import {
  fileLedgerOptions,
  ManualClock,
  ORIGIN,
  openFileLedger,
  payload,
  sealer,
  sha256,
  temporaryFolder,
  testKey,
} from '../../../support/ledger.ts';
import { hasher } from '../../../support/memory-ledger.ts';

const key = testKey();
let folder: ReturnType<typeof temporaryFolder>;
let open: Ledger[];
beforeEach(() => {
  folder = temporaryFolder();
  open = [];
});
afterEach(async () => {
  await Promise.all(open.map((ledger) => ledger.close()));
  await folder.remove();
});

const options = (more: Partial<FileLedgerOptions> = {}) => fileLedgerOptions(folder.path, key, more);

async function opened(more: Partial<FileLedgerOptions> = {}) {
  const result = await openFileLedger(options(more));
  open.push(result.ledger);
  return result;
}

const audit = async () =>
  verifyLedger(await ledgerSegments(options().dir), { hasher, origin: ORIGIN, verifier: key.verifier, deep: true });

describe('a ledger in a folder', () => {
  proves('G7', 'is refused when an older copy of its folder was put in its place', async () => {
    const { ledger } = await opened();
    await ledger.append([{ type: 'early' }]);
    await ledger.close();
    cpSync(options().dir, join(folder.path, 'copy'), { recursive: true });
    const second = (await opened()).ledger;
    await second.append([{ type: 'late' }]);
    await second.close();
    rmSync(options().dir, { recursive: true });
    renameSync(join(folder.path, 'copy'), options().dir);
    await expect(opened()).rejects.toThrow('rolled back');
    rmSync(options().dir, { recursive: true });
    await expect(opened()).rejects.toThrow('rolled back');
  });

  it('is refused when the record of its head is gone, altered, or of another key', async () => {
    const { ledger } = await opened();
    await ledger.close();
    await expect(opened({ headsMac: () => new Uint8Array(32) })).rejects.toThrow('another key');
    const bytes = readFileSync(options().heads);
    writeFileSync(options().heads, bytes.toString().replace('"size":1', '"size":0'));
    await expect(opened()).rejects.toThrow('altered');
    rmSync(options().heads);
    await expect(opened()).rejects.toThrow('no record of its last head');
    writeFileSync(options().heads, bytes);
    expect((await opened()).ledger.epoch).toBe(2);
  });

  proves(
    'G6',
    'that can no longer be written says so at once, refuses from then on, and recovers when opened again',
    async () => {
      for (const happen of [
        () => {
          const lock = join(options().dir, 'LOCK');
          renameSync(lock, `${lock}.old`);
          writeFileSync(lock, '');
        },
        () => {
          const [name] = readdirSync(join(options().dir, 'seg'));
          writeFileSync(join(options().dir, 'seg', name as string), 'foreign bytes', { flag: 'a' });
        },
      ]) {
        const { ledger } = await opened();
        await ledger.append([{ type: 'call.intent', call: 'c' }]);
        const told: string[] = [];
        ledger.onFailure((failure) => told.push(failure.code));
        happen();
        await expect(ledger.append([{ type: 'x' }])).rejects.toMatchObject({
          name: 'LedgerFailure',
          code: 'unwritable',
        });
        expect(told).toEqual(['unwritable']);
        await expect(ledger.append([{ type: 'x' }])).rejects.toMatchObject({ code: 'unwritable' });
        await ledger.close();
        const again = await opened();
        expect(again.recovered.openCalls.map((each) => each.call)).toEqual(['c']);
        await again.ledger.append([{ type: 'call.ending', call: 'c' }]);
        await again.ledger.close();
        expect((await audit()).findings).toEqual([]);
      }
    },
  );

  it('fails when its head can no longer be recorded, because a later rollback would go unseen', async () => {
    const clock = new ManualClock();
    const { ledger } = await opened({ clock });
    const failed = new Promise((resolve) => ledger.onFailure((failure) => resolve(failure.code)));
    rmSync(dirname(options().heads), { recursive: true });
    await ledger.append([{ type: 'x' }]);
    clock.advance(1_000);
    expect(await failed).toBe('unwritable');
  });

  it('is for its owner alone, and closed segments are for nobody to write', async () => {
    const { ledger } = await opened({ limits: { segmentEntries: 2 } });
    for (let n = 0; n < 3; n++) await ledger.append([{ type: 'x' }, { type: 'y' }], [payload('secret')]);
    await ledger.close();
    const mode = (path: string) => statSync(join(options().dir, path)).mode & 0o777;
    const segments = readdirSync(join(options().dir, 'seg')).sort();
    expect(segments.map((name) => mode(`seg/${name}`))).toEqual([...segments.slice(1).map(() => 0o444), 0o600]);
    for (const name of readdirSync(join(options().dir, 'vault'))) expect(mode(`vault/${name}`)).toBe(0o600);
    for (const path of ['.', 'seg', 'vault', 'tile', 'tile/0']) expect(mode(path)).toBe(0o700);
    expect(mode('LOCK')).toBe(0o600);
  });

  it('closes once however often it is asked, and is then refused to nobody', async () => {
    const { ledger } = await opened();
    await Promise.all([ledger.close(), ledger.close()]);
    expect((await opened()).ledger.epoch).toBe(2);
  });

  it('is not opened where the lock cannot be taken safely', async () => {
    const { PATH } = process.env;
    process.env.PATH = '/nowhere';
    try {
      mkdirSync(options().dir, { recursive: true });
      const result = acquireFileLock(join(options().dir, 'LOCK'));
      if (process.platform === 'linux')
        expect(result).toMatchObject({
          ok: false,
          reason: 'unsupported',
          detail: expect.stringContaining('util-linux'),
        });
    } finally {
      process.env.PATH = PATH;
    }
  });
});

describe('what is derived from a ledger', () => {
  async function filled(entries: number) {
    const { ledger } = await opened({ limits: { segmentEntries: 300 } });
    const secret = payload('{"path":"/etc/hosts"}');
    for (let at = 0; at < entries; at += 100) {
      await ledger.append(
        Array.from({ length: Math.min(100, entries - at) }, (_, n) => ({
          type: 'x',
          call: `c${at + n}`,
          args: secret.commitment,
        })),
        [secret],
      );
    }
    await ledger.close();
    return { secret, checkpoint: ledger.checkpoint() };
  }

  it('has tiles that hold exactly its entries, continued by the next start and remade when they are wrong', async () => {
    for (const disturb of [
      () => undefined,
      () => undefined,
      () =>
        writeFileSync(
          join(options().dir, 'tile/1/000.p', readdirSync(join(options().dir, 'tile/1/000.p'))[0] ?? ''),
          'not a tile',
        ),
      () => writeFileSync(join(options().dir, 'tile/0/001'), Buffer.alloc(8192)),
      () => writeFileSync(join(options().dir, 'tile/entries/002'), ''),
      () => rmSync(join(options().dir, 'tile'), { recursive: true }),
      () => writeFileSync(join(options().dir, 'checkpoint'), 'not a checkpoint'),
    ]) {
      disturb();
      await filled(300);
      const lines: Buffer[] = [];
      for await (const entry of readEntries(options().dir)) lines.push(Buffer.from(JSON.stringify(entry)));
      const tile = (path: string) => readFileSync(join(options().dir, path));
      const full = Math.floor(lines.length / 256);
      for (let index = 0; index < full; index++) {
        const name = String(index).padStart(3, '0');
        const bundle = decodeBundle(tile(`tile/entries/${name}`)) ?? [];
        expect(bundle.map((entry) => Buffer.from(entry).toString())).toEqual(
          lines.slice(index * 256, (index + 1) * 256).map(String),
        );
        expect(concatBytes(bundle.map((entry) => hasher.leaf(entry))).length).toBe(8192);
        expect(Buffer.compare(tile(`tile/0/${name}`), concatBytes(bundle.map((entry) => hasher.leaf(entry))))).toBe(0);
      }
      expect(tile(`tile/1/000.p/${full}`).length).toBe(32 * full);
      expect(tile('checkpoint').toString()).toContain(`\n${lines.length}\n`);
    }
  });

  it('has proofs from tiles and from segments that say the same, with the payloads that somebody chose to show', async () => {
    const { secret } = await filled(700);
    const found = await findLines(options().dir, 'c317');
    expect(found.map((line) => line.seq)).toEqual([318]);
    const payloads = await readPayloads(options().dir, new Set([secret.commitment]), sealer, sha256);
    const ask = { origin: ORIGIN, verifier: key.verifier, sha256, disclosures: [...payloads.values()] };
    const fromTiles = await proveEntries(options().dir, [318, 0, 700], ask);
    // A tile that is not what it was is not believed.
    writeFileSync(join(options().dir, 'tile/0/001'), Buffer.alloc(8192));
    const fromSegments = await proveEntries(options().dir, [0, 318, 700], ask);
    const plain = (proof: typeof fromTiles) => (proof === undefined ? undefined : formatProof(proof));
    expect(plain(fromTiles)).toBe(plain(fromSegments));
    expect(fromTiles).toBeDefined();
    const result = fromTiles === undefined ? undefined : verifyProof(fromTiles, key.verifier, sha256);
    expect(result).toMatchObject({
      ok: true,
      checkpoint: { size: 701 },
      disclosures: [{ commitment: secret.commitment }],
    });
    expect(await proveEntries(options().dir, [701], ask)).toBeUndefined();
  });
});
