// The ledger alone: durable calls per second, verification, proofs. `node dist/bench/ledger.js [--entries N] [--json]`.
// A call here is what the gate records for one: an intent and then its ending, each with a payload, each durable before the next step.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  generateSigningKey,
  hmacSha256,
  open,
  randomBytes,
  seal,
  sha256,
  verifyEd25519,
} from '../adapters/crypto/node-crypto.ts';
import { type Ledger, openFileLedger } from '../adapters/storage/file-ledger.ts';
import { ledgerSegments, proveEntries } from '../adapters/storage/ledger-reader.ts';
import type { EntryBody } from '../domain/entry.ts';
import { type AuditOptions, verifyLedger } from '../ledger/audit.ts';
import { treeHasher } from '../ledger/leaf.ts';
import type { Clock } from '../ledger/ports.ts';
import { formatVerifierKey, noteSigner, parseVerifierKey } from '../ledger/signed-note.ts';
import { commit, type Payload } from '../ledger/vault.ts';
import { quantile } from './quantile.ts';
import { table } from './report.ts';

const ORIGIN = 'portcullis.local/bench/ledger';
const WINDOW_MS = 2000;
const BULK_CALLS = 250; // An append of this many calls at once fills a ledger quickly; it is not what is measured.
const PROOFS = 200;
const PERMIT = 'p'.repeat(900); // As long as a real one: it lies in the intent.

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer(ms, then) {
    const timer = setTimeout(then, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

function payload(text: string): Payload {
  const salt = randomBytes(32);
  const bytes = new TextEncoder().encode(text);
  return { salt, bytes, commitment: commit(sha256, salt, bytes) };
}

function intent(call: string, args: Payload): EntryBody {
  const decision = { effect: 'allow', rules: ['echo-bench-texts'], bundle: args.commitment };
  return {
    type: 'call.intent',
    call,
    server: 'bench',
    tool: 'echo',
    principal: 'bench',
    args: args.commitment,
    decision,
    permit: PERMIT,
  };
}

function ending(call: string, result: Payload): EntryBody {
  return { type: 'call.ending', call, outcome: 'completed', result: result.commitment };
}

/** Calls in a closed loop, each of them two durable appends. */
async function recordCalls(
  ledger: Ledger,
  inFlight: number,
): Promise<{ callsPerSecond: number; p50Ms: number; p99Ms: number }> {
  const latenciesMs: number[] = [];
  const startedAt = performance.now();
  const until = startedAt + WINDOW_MS;
  const lane = async (number: number): Promise<void> => {
    for (let nth = 0; performance.now() < until; nth += 1) {
      const begunAt = performance.now();
      const call = `${inFlight}-${number}-${nth}`;
      const args = payload(`{"text":"bench ${call}"}`);
      await ledger.append([intent(call, args)], [args]);
      const result = payload(`{"content":[{"type":"text","text":"bench ${call}"}]}`);
      await ledger.append([ending(call, result)], [result]);
      latenciesMs.push(performance.now() - begunAt);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, number) => lane(number)));
  const seconds = (performance.now() - startedAt) / 1000;
  const sorted = Float64Array.from(latenciesMs).sort();
  return { callsPerSecond: sorted.length / seconds, p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) };
}

async function fill(ledger: Ledger, entries: number): Promise<void> {
  while (ledger.size < entries) {
    const bodies: EntryBody[] = [];
    for (let nth = 0; nth < BULK_CALLS; nth += 1) {
      const call = `bulk-${ledger.size + nth}`;
      const args = payload(call);
      bodies.push(intent(call, args), ending(call, args));
    }
    await ledger.append(bodies);
  }
}

async function measure(
  folder: string,
  entries: number,
): Promise<{ rows: string[][]; figures: Record<string, number> }> {
  const dir = join(folder, 'ledger');
  const key = generateSigningKey();
  const vaultKey = randomBytes(32);
  const verifierKey = formatVerifierKey(ORIGIN, key.publicKey, sha256);
  const verifier = parseVerifierKey(verifierKey, verifyEd25519, sha256);
  if (verifier === undefined) throw new Error('the verifier key of the bench is not one');
  const { ledger } = await openFileLedger({
    dir,
    heads: join(folder, 'heads.json'),
    headsMac: (bytes) => hmacSha256(vaultKey, bytes),
    origin: ORIGIN,
    sha256,
    signer: noteSigner(ORIGIN, key, sha256),
    verifier,
    verifierKey,
    sealer: {
      seal: (plain, associated) => seal(vaultKey, plain, associated),
      open: (sealed, associated) => open(vaultKey, sealed, associated),
    },
    clock,
  });
  const figures: Record<string, number> = {};
  const rows: string[][] = [['what', 'a second', 'p50 ms', 'p99 ms']];
  for (const inFlight of [1, 16, 64]) {
    process.stderr.write(`bench: recording calls, ${inFlight} in flight\n`);
    const { callsPerSecond, p50Ms, p99Ms } = await recordCalls(ledger, inFlight);
    figures[`calls a second, ${inFlight} in flight`] = callsPerSecond;
    rows.push([`calls, ${inFlight} in flight`, callsPerSecond.toFixed(0), p50Ms.toFixed(2), p99Ms.toFixed(2)]);
  }
  process.stderr.write(`bench: filling up to ${entries} entries\n`);
  await fill(ledger, entries);
  await ledger.close();

  const ways: readonly [string, Pick<AuditOptions, 'signatures' | 'deep'>][] = [
    ['the last signature', { signatures: 'last' }],
    ['every signature', { signatures: 'every' }],
    ['every signature and form', { signatures: 'every', deep: true }],
  ];
  for (const [name, how] of ways) {
    process.stderr.write(`bench: verifying, ${name}\n`);
    const startedAt = performance.now();
    const report = await verifyLedger(await ledgerSegments(dir), {
      hasher: treeHasher(sha256),
      origin: ORIGIN,
      verifier,
      ...how,
    });
    const perSecond = report.size / ((performance.now() - startedAt) / 1000);
    if (!report.ok || report.size !== ledger.size)
      throw new Error(`the ledger does not verify: ${report.findings[0]?.detail ?? 'too short'}`);
    figures[`entries verified a second, ${name}`] = perSecond;
    rows.push([`entries verified, ${name}`, perSecond.toFixed(0), '', '']);
  }

  process.stderr.write('bench: proving\n');
  const millis: number[] = [];
  for (let nth = 0; nth < PROOFS; nth += 1) {
    const seq = Math.floor((nth * ledger.size) / PROOFS);
    const startedAt = performance.now();
    const proof = await proveEntries(dir, [seq], { origin: ORIGIN, verifier, sha256 });
    if (proof === undefined) throw new Error(`entry ${seq} could not be proven`);
    millis.push(performance.now() - startedAt);
  }
  const sorted = Float64Array.from(millis).sort();
  figures['ms to prove one entry, p50'] = quantile(sorted, 0.5);
  const perSecond = 1000 / quantile(sorted, 0.5);
  rows.push([
    `proofs of one entry of ${ledger.size}`,
    perSecond.toFixed(0),
    quantile(sorted, 0.5).toFixed(2),
    quantile(sorted, 0.99).toFixed(2),
  ]);
  return { rows, figures };
}

const { values } = parseArgs({
  options: { entries: { type: 'string', default: '200000' }, json: { type: 'boolean', default: false } },
});
const folder = mkdtempSync(join(tmpdir(), 'portcullis-bench-ledger-'));
try {
  const { rows, figures } = await measure(folder, Number(values.entries));
  process.stdout.write(values.json ? `${JSON.stringify(figures, undefined, 2)}\n` : `${table(rows)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
