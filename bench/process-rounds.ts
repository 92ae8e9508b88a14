// Starts and stops a server over and over that leaves a double-forked process behind, and counts what is left; then measures how long a tool
// that ignores everything lives after its call was cancelled. Usage: node dist/bench/process-rounds.js [ROUNDS] [CANCELLATIONS]

import { readdirSync, readFileSync } from 'node:fs';
import { findMachineMeans } from '../adapters/upstream/stdio/machine-means.ts';
import { stdioToolServer } from '../adapters/upstream/stdio/stdio-tool-server.ts';
import { output } from '../cli/output.ts';
import { type CallHooks, PLAIN_MANNER } from '../proxy/tool-server.ts';
import { quantile } from './quantile.ts';

const out = output(false);
const MARK = `portcullis-rounds-${process.pid}`;
const HELLO =
  '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"x","version":"0"}}}';
const LEAVES = `(setsid sh -c '(setsid sh -c "sleep 1000; :" ${MARK} >/dev/null 2>&1 </dev/null &)' &)
read -r line; echo '${HELLO}'; while read -r line; do :; done`;
/** It goes on whatever it is told. */
const IGNORES = `trap '' TERM INT HUP; read -r line; echo '${HELLO}'; while :; do sleep 1000; done`;

const SILENT: CallHooks = {
  onProgress() {},
  onLog() {},
  ask: () => ({
    answer: Promise.resolve({ kind: 'error', error: { code: -32_601, message: 'nobody is asked' } }),
    cancel() {},
  }),
};

const [rounds = 1_000, cancellations = 100] = process.argv.slice(2).map(Number);
const found = await findMachineMeans();
const means = async () => found;
const server = (text: string) =>
  stdioToolServer({ name: 'x', command: '/bin/sh', args: ['-c', text, MARK] }, { clientInfo: {}, means });

/** Every process of this machine but us that names the mark, zombies of ours included. */
function left(): number {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid && isOurs(name))
    .length;
}

function isOurs(pid: string): boolean {
  try {
    const parent = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ')[1];
    return Number(parent) === process.pid || readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(MARK);
  } catch {
    return false;
  }
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

async function startAndStop(): Promise<void> {
  const one = server(LEAVES);
  await one.start();
  await one.stop();
}

for (let i = 0; i < 10; i++) await startAndStop();
const before = { processes: left(), descriptors: descriptors() };
const startedMs = performance.now();
for (let i = 0; i < rounds; i++) await startAndStop();
const eachMs = (performance.now() - startedMs) / rounds;
out.line(`${rounds} starts and stops, ${eachMs.toFixed(1)} ms each`);
out.line(`processes ${before.processes} -> ${left()}, descriptors ${before.descriptors} -> ${descriptors()}`);

const lived: number[] = [];
for (let i = 0; i < cancellations; i++) {
  const one = server(IGNORES);
  await one.start();
  const pid = one.pid() ?? 0;
  const call = { method: 'tools/call', meta: {}, body: '{"name":"x"}', outputBytesMax: 1_000, manner: PLAIN_MANNER };
  const run = one.dispatch(call, SILENT);
  const cancelledMs = performance.now();
  run.cancel('revoked');
  await run.answer;
  const isGone = !readdirSync('/proc').includes(String(pid));
  if (!isGone) throw new Error('the call is over and its tool is not');
  lived.push(performance.now() - cancelledMs);
  await one.stop();
}
lived.sort((a, b) => a - b);
out.line(
  `${cancellations} cancellations that were ignored, from the cancellation to the death of the tool, grace included:`,
);
out.line(
  `p50 ${quantile(lived, 0.5).toFixed(1)} ms, p99 ${quantile(lived, 0.99).toFixed(1)} ms, worst ${(lived.at(-1) ?? 0).toFixed(1)} ms`,
);
