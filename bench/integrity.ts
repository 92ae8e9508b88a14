// What it costs to know what a server runs: before each call, at each start, and every few seconds. `node dist/bench/integrity.js [--json] [COMMAND ARGS...]`
// measures that command, or the reference server for files. Results on standard output; the unit to compare with is one lstat of a file.

import { spawn } from 'node:child_process';
import { lstatSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { hmacSha256 } from '../adapters/crypto/node-crypto.ts';
import { AttestedServer } from '../adapters/integrity/attested-server.ts';
import { environmentOf } from '../adapters/integrity/environment-of.ts';
import { KnownMeasurements } from '../adapters/integrity/known-measurements.ts';
import { MeasuringThread } from '../adapters/integrity/measuring-thread.ts';
import { median, quantile } from './quantile.ts';
import { table } from './report.ts';

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const reference = fileURLToPath(
  new URL('../../node_modules/@modelcontextprotocol/server-filesystem/dist/index.js', import.meta.url),
);
const [command = process.execPath, ...args] =
  positionals.length > 0 ? positionals : [process.execPath, reference, '/tmp'];

const keyed = (bytes: Uint8Array): Uint8Array => hmacSha256(new Uint8Array(32), bytes);
const thread = new MeasuringThread();
const means = { thread, known: new KnownMeasurements(undefined, keyed), keyed, store: '/nonexistent' };
const env = { PATH: process.env.PATH ?? '' };
const line = { command, args, cwd: process.cwd(), env, configured: [] };
const launch = { ...line, sandbox: null };

interface Row {
  readonly what: string;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

function row(what: string, nanos: readonly number[]): Row {
  const sorted = [...nanos].sort((a, b) => a - b);
  return { what, p50Micros: median(nanos) / 1_000, p99Micros: quantile(sorted, 0.99) / 1_000 };
}

function timed(rounds: number, work: () => unknown): number[] {
  return Array.from({ length: rounds }, () => {
    const before = process.hrtime.bigint();
    work();
    return Number(process.hrtime.bigint() - before);
  });
}

async function timedAsync(rounds: number, work: () => Promise<unknown>): Promise<number[]> {
  const nanos: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = process.hrtime.bigint();
    await work();
    nanos.push(Number(process.hrtime.bigint() - before));
  }
  return nanos;
}

const rows: Row[] = [];
rows.push(
  row(
    'at start: everything read, thread started',
    await timedAsync(1, () => environmentOf(launch, means, { anew: true })),
  ),
);
const { record, sighting } = await environmentOf(launch, means, { anew: true });
rows.push(
  row(
    'every 5 s: the state of every file',
    await timedAsync(20, () => environmentOf(launch, means, { seen: { record, sighting } })),
  ),
);

let nowMs = 0;
const server = new AttestedServer('bench', null, {
  ...means,
  approved: () => ({ number: 1, environment: record }),
  onDrift: (_server, { reason }) => process.stderr.write(`bench: it drifted: ${reason}\n`),
  onGood: () => {},
  // Nothing is a moment ago: every look is a look.
  nowMs: () => {
    nowMs += 1_000;
    return nowMs;
  },
});
const started = await server.before(line);
const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'ignore'], env });
await new Promise((resolve) => setTimeout(resolve, 500));
await server.started({ line: started, pid: () => child.pid, end: () => {} });
let wrong = 0;
const looks = (): void => {
  if (server.problem() !== undefined) wrong += 1;
};
timed(2_000, looks);
rows.push(row('before a call, twice: a look', timed(5_000, looks)));
rows.push(
  row(
    'one lstat',
    timed(5_000, () => lstatSync(process.execPath, { bigint: true })),
  ),
);
child.kill();
await thread.close();

const files = record.trees.reduce((sum, tree) => sum + tree.files, record.files.length);
if (values.json) process.stdout.write(`${JSON.stringify({ files, bytes: sighting.bytes, wrong, rows })}\n`);
else {
  const unit = rows.at(-1)?.p50Micros ?? Number.NaN;
  const cells = rows.map(({ what, p50Micros, p99Micros }) => [
    what,
    p50Micros.toFixed(1),
    p99Micros.toFixed(1),
    (p50Micros / unit).toFixed(1),
  ]);
  process.stdout.write(
    `${files} files, ${(sighting.bytes / 1e6).toFixed(0)} MB, ${server.watched.length} looked at before a call\n`,
  );
  process.stdout.write(`${table([['', 'p50 µs', 'p99 µs', 'times an lstat'], ...cells])}\n`);
}
process.exitCode = wrong === 0 ? 0 : 1;
