import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ledgerSegments, readBatches, readPayloads } from '../../../adapters/storage/ledger-reader.ts';
import { seededRandom } from '../../../adapters/storage/memory-store.ts';
import type { Digest } from '../../../domain/digest.ts';
import { verifyLedger } from '../../../ledger/audit.ts';
import { toDigest } from '../../../ledger/base64.ts';
import { proves } from '../../guarantees.ts';
import {
  fileLedgerOptions,
  keyOfSeed,
  ORIGIN,
  openFileLedger,
  sealer,
  sha256,
  temporaryFolder,
} from '../../support/ledger.ts';
import { hasher } from '../../support/memory-ledger.ts';

const SCRIPT = fileURLToPath(new URL('../../support/ledger-writer-process.ts', import.meta.url));
const LOADER = new URL('../../support/typescript.mjs', import.meta.url).href;

const seed = randomBytes(32);
const key = keyOfSeed(seed);
let folder: ReturnType<typeof temporaryFolder>;
const children: ChildProcess[] = [];
const strays: number[] = [];

beforeEach(() => {
  folder = temporaryFolder();
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const pid of strays.splice(0)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Already gone.
    }
  }
  await folder.remove();
});

interface Writer {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** Resolves with the first line that begins like this. */
  said(start: string): Promise<string>;
  readonly gone: Promise<void>;
}

function start(callers: number, wrap: readonly string[] = []): Writer {
  const [command, ...args] = [
    ...wrap,
    process.execPath,
    '--import',
    LOADER,
    SCRIPT,
    folder.path,
    seed.toString('hex'),
    String(callers),
  ];
  const child = spawn(command as string, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const lines: string[] = [];
  const waiting: { start: string; tell: (line: string) => void }[] = [];
  let rest = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) {
      lines.push(line);
      for (const each of waiting) if (line.startsWith(each.start)) each.tell(line);
    }
  });
  const gone = new Promise<void>((resolve) => child.on('close', () => resolve()));
  return {
    child,
    lines,
    said: (begin) =>
      new Promise((resolve, reject) => {
        const line = lines.find((each) => each.startsWith(begin));
        if (line !== undefined) resolve(line);
        waiting.push({ start: begin, tell: resolve });
        void gone.then(() => reject(new Error(`gone before it said ${begin}: ${lines.at(-1)}`)));
      }),
    gone,
  };
}

interface Acknowledged {
  readonly seq: number;
  readonly leaf: Digest;
  readonly commitment: Digest;
}

const acknowledgedBy = (lines: readonly string[]): Acknowledged[] =>
  lines.flatMap((line) => {
    const [word, seq, leaf, commitment] = line.split(' ');
    return word === 'ack' ? [{ seq: Number(seq), leaf: leaf as Digest, commitment: commitment as Digest }] : [];
  });

const options = () => fileLedgerOptions(folder.path, key, { limits: { segmentEntries: 50, vaultBytes: 20_000 } });

async function leaves(): Promise<Digest[]> {
  const found: Digest[] = [];
  for await (const batch of readBatches(options().dir))
    for (const line of batch.lines) found.push(toDigest(hasher.leaf(line.bytes)));
  return found;
}

/** Everything that was acknowledged is there, payloads too, and the ledger is in order. */
async function expectKept(acknowledged: readonly Acknowledged[]): Promise<void> {
  const found = await leaves();
  for (const { seq, leaf } of acknowledged) expect(found[seq]).toBe(leaf);
  const wanted = new Set(acknowledged.map((each) => each.commitment));
  expect((await readPayloads(options().dir, wanted, sealer, sha256)).size).toBe(wanted.size);
  const report = await verifyLedger(await ledgerSegments(options().dir), {
    hasher,
    origin: ORIGIN,
    verifier: key.verifier,
    deep: true,
  });
  expect(report.findings).toEqual([]);
}

describe('two processes', () => {
  it('cannot hold one ledger, also while the holder is stopped; the kernel frees it when the holder is killed', async () => {
    const holder = start(0);
    await holder.said('opened');
    strays.push(Number((await holder.said('child')).split(' ')[1]));
    await expect(openFileLedger(options())).rejects.toThrow('another process holds');
    holder.child.kill('SIGSTOP');
    await expect(openFileLedger(options())).rejects.toThrow('another process holds');
    const second = start(1);
    expect(await second.said('stopped')).toContain('LedgerRefused');
    await second.gone;
    holder.child.kill('SIGKILL');
    await holder.gone;
    // Its child still runs, and has not inherited the lock.
    process.kill(strays[0] as number, 0);
    const { ledger } = await openFileLedger(options());
    expect(ledger.epoch).toBe(2);
    await ledger.close();
  });
});

describe('a writer that is killed under load', () => {
  const random = seededRandom(20_261_121);

  proves(
    'G6',
    'loses nothing that it acknowledged, time and again on one ledger',
    async () => {
      const acknowledged: Acknowledged[] = [];
      for (let round = 0; round < 12; round++) {
        const writer = start(1 + Math.floor(random() * 12));
        await writer.said('ack');
        await new Promise((resolve) => setTimeout(resolve, random() * 250));
        writer.child.kill('SIGKILL');
        await writer.gone;
        acknowledged.push(...acknowledgedBy(writer.lines));
        if (round % 4 === 3) {
          const { ledger, recovered } = await openFileLedger(options());
          // Intents and endings of one caller are one batch: a torn one is dropped as a whole.
          expect(recovered.openCalls).toEqual([]);
          await ledger.close();
          await expectKept(acknowledged);
        }
      }
      expect(acknowledged.length).toBeGreaterThan(100);
    },
    60_000,
  );
});

describe('a disk that is full', () => {
  const hasPrlimit = process.platform === 'linux';

  it.skipIf(!hasPrlimit)(
    'takes a part of a batch without an error: the writer dies, and the next one drops that part',
    async () => {
      // With the signal ignored the kernel takes what fits under the limit on file sizes and then says that the file is too large.
      const writer = start(4, ['sh', '-c', 'trap "" XFSZ; exec prlimit --fsize=9001 "$@"', 'sh']);
      expect(await writer.said('failed')).toBe('failed unwritable');
      await writer.gone;
      expect(writer.lines.at(-1)).toMatch(/^stopped LedgerFailure/);
      const acknowledged = acknowledgedBy(writer.lines);
      expect(acknowledged.length).toBeGreaterThan(0);
      const { ledger, recovered } = await openFileLedger(options());
      if (recovered.discardedBytes > 0) {
        const [name] = readdirSync(join(options().dir, 'quarantine'));
        expect(readFileSync(join(options().dir, 'quarantine', name ?? '')).length).toBe(recovered.discardedBytes);
      }
      await ledger.append([{ type: 'there is room again' }]);
      await ledger.close();
      await expectKept(acknowledged);
    },
  );
});
