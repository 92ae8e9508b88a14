// How long a client waits for an entry of its configuration: from starting the process until it is initialized, and until its first governed call is answered.
// In turn: the server itself, a gate of its own, the shared gate that runs already, and the shared gate that the entry starts. Usage: entry-starts.js [ROUNDS]

import { execFileSync, spawn } from 'node:child_process';
import { output } from '../cli/output.ts';
import { LineReader } from './line-reader.ts';
import { ECHO_SERVER, PORTCULLIS, ROOT } from './places.ts';
import { PortcullisHome } from './portcullis-home.ts';
import { quantile } from './quantile.ts';

const out = output(false);
const TOOL = [process.execPath, ECHO_SERVER];
const ENTRY = ['--name', 'bench', '--', ...TOOL];
const WAYS = {
  direct: { args: [ECHO_SERVER] },
  'a gate of its own': { args: [PORTCULLIS, 'wrap', '--alone', ...ENTRY] },
  'shared, running': { args: [PORTCULLIS, 'wrap', ...ENTRY] },
  'shared, started': { args: [PORTCULLIS, 'wrap', ...ENTRY] },
} as const;
type Way = keyof typeof WAYS;

const [rounds = 20] = process.argv.slice(2).map(Number);
const home = new PortcullisHome();
const stopShared = (): void => void execFileSync(process.execPath, [PORTCULLIS, 'gate', '--stop'], { env: home.env });

interface Waited {
  readonly initialized: number;
  readonly answered: number;
}

/** Milliseconds. Rejects where an answer is not the right one. */
async function start({ args }: { readonly args: readonly string[] }, text: string): Promise<Waited> {
  const began = performance.now();
  const child = spawn(process.execPath, args, { cwd: ROOT, env: home.env, stdio: ['pipe', 'pipe', 'ignore'] });
  const heard: ((line: string) => void)[] = [];
  const lines = new LineReader((line) => {
    if (line.includes('"id":1')) heard.shift()?.(line);
  });
  child.stdout.on('data', (chunk: Buffer) => lines.push(chunk));
  const ask = (method: string, params: object): Promise<string> => {
    const reply = new Promise<string>((resolve) => heard.push(resolve));
    child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })}\n`);
    return reply;
  };
  const clientInfo = { name: 'bench', version: '0' };
  await ask('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo });
  const initialized = performance.now() - began;
  child.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n');
  const reply = await ask('tools/call', { name: 'echo', arguments: { text } });
  const answered = performance.now() - began;
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.stdin.end();
  await ended;
  if (!reply.includes(text)) throw new Error(`not the echo of ${text}: ${reply.slice(0, 300)}`);
  return { initialized, answered };
}

const waited: Record<Way, Waited[]> = {
  direct: [],
  'a gate of its own': [],
  'shared, running': [],
  'shared, started': [],
};
const ways = Object.keys(WAYS) as Way[];
for (const way of ways) await start(WAYS[way], 'warm');
for (let round = 0; round < rounds; round++) {
  for (const way of ways) {
    if (way === 'shared, started') stopShared();
    waited[way].push(await start(WAYS[way], `${way} ${round}`));
  }
}
stopShared();

const median = (way: Way, what: keyof Waited): number =>
  quantile(
    waited[way].map((one) => one[what]).sort((a, b) => a - b),
    0.5,
  );
out.line(`${rounds} rounds, medians in ms: initialized, first call answered, and that against the server itself`);
for (const way of ways) {
  const [initialized, answered] = [median(way, 'initialized'), median(way, 'answered')];
  const times = (answered / median('direct', 'answered')).toFixed(1);
  out.line(
    `${way.padEnd(18)} ${initialized.toFixed(0).padStart(6)} ${answered.toFixed(0).padStart(6)}  ${times} times`,
  );
}
const { verified, said } = home.checkLedgers();
if (!verified) {
  out.error(`a ledger does not verify, so these figures are worth nothing: ${said}`);
  process.exitCode = 1;
}
