// `npm run bench`: measures Portcullis beside what it could be compared with, in one run, and refuses to report a target that is fast and
// wrong. Results on standard output, progress on standard error. Exit code 1 when a figure of ours may not be believed, 2 on wrong usage.

import { compare } from './comparison.ts';
import { layerTables, profileLayers } from './layers.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { killAll } from './processes.ts';
import { asJson, asTables } from './report.ts';

const LAYERS_SECONDS = 10;

function progress(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

async function main(options: Options): Promise<number> {
  if (options.layers) {
    const layers = await profileLayers(LAYERS_SECONDS, progress);
    process.stdout.write(
      options.json ? `${JSON.stringify(Object.fromEntries(layers), undefined, 2)}\n` : layerTables(layers),
    );
    return 0;
  }
  const run = await compare(options, progress);
  process.stdout.write(options.json ? `${asJson(run)}\n` : asTables(run));
  return run.faults.length === 0 ? 0 : 1;
}

// Processes of a target are in groups of their own: without this an interrupted run would leave them behind.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(130));
}
process.on('exit', killAll);

const options = readOptions(process.argv.slice(2));
if (typeof options === 'string') {
  if (options !== '') process.stderr.write(`bench: ${options}\n\n`);
  (options === '' ? process.stdout : process.stderr).write(USAGE);
  process.exitCode = options === '' ? 0 : 2;
} else {
  try {
    process.exitCode = await main(options);
  } catch (error) {
    progress(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
