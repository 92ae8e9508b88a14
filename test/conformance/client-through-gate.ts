// The command the suite runs as a client, with Portcullis in between: the suite's server becomes the gate's upstream, and our client speaks to the gate.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { program, startGate } from './processes.ts';

const CLIENT = fileURLToPath(new URL('client/main.ts', import.meta.url));

const url = process.argv.at(-1) ?? '';
const gate = await startGate({ url });
try {
  const [command = '', ...args] = program(CLIENT, gate.url);
  process.exitCode = await new Promise<number>((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
} finally {
  await gate.close();
}
