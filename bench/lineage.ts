// What chains of calls cost. `node dist/bench/lineage.js [--quick] [--json]`; exit code 1 when an answer was wrong or the ledger does not verify. Results
// on standard output, progress on standard error.

import { parseArgs } from 'node:util';
import { type CallFigures, callFigures } from './lineage-calls.ts';
import { type Figure, registryFigures } from './lineage-registry.ts';
import { killAll } from './processes.ts';
import { table } from './report.ts';

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false } },
});

function progress(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

function asTables(calls: CallFigures, registry: readonly Figure[]): string {
  const depths = calls.depths.map(({ depth, inFlight, p50Ms, cpuMicros, timesP50, timesWhole }) => [
    `depth ${depth}, ${inFlight} in flight`,
    p50Ms.toFixed(2),
    timesP50.toFixed(2),
    timesWhole.toFixed(2),
    cpuMicros?.toFixed(0) ?? '-',
  ]);
  const stops = calls.stops.map(({ how, p50Ms, worstMs }) => [how, p50Ms.toFixed(1), worstMs.toFixed(1)]);
  const parts = registry.map(({ what, micros, times }) => [what, micros.toFixed(1), times.toFixed(2)]);
  return `${[
    'A call through the gate, by its depth in a chain; times: against depth 0',
    table([['', 'p50 ms', 'times', 'times, all 60', 'CPU µs'], ...depths]),
    '',
    'From revoking the root of a chain of three to the last of it told to stop',
    table([['', 'p50 ms', 'worst'], ...stops]),
    '',
    'Without a gate, CPU; times: against a bare Ed25519 verification',
    table([['', 'µs', 'times'], ...parts]),
    ...calls.faults.map((fault) => `\nThis run may not be believed: ${fault}`),
  ].join('\n')}\n`;
}

process.on('exit', killAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
try {
  const registry = registryFigures(progress);
  const calls = await callFigures(values.quick ? 5 : 25, values.quick ? 5 : 20, progress);
  process.stdout.write(
    values.json ? `${JSON.stringify({ calls, registry }, undefined, 2)}\n` : asTables(calls, registry),
  );
  process.exitCode = calls.faults.length === 0 ? 0 : 1;
} catch (error) {
  progress(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
