// A gate as its operator starts it: `portcullis serve` in a home of its own, with keys, rules and a ledger of its own.

import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { readConfiguration } from '../../cli/configuration.ts';
import { findHome } from '../../cli/home.ts';
import { launchOf } from '../../cli/servers.ts';
import { approveAsTheyAre } from '../approved-servers.ts';
import { compiled } from './agent-at-work.ts';

const ROOT = new URL('../../../', compiled(import.meta.url));
const PORTCULLIS = fileURLToPath(new URL('bin/portcullis.js', ROOT));
const RULES = fileURLToPath(new URL('examples/agents/rules', ROOT));
const SAYS_MS = 30_000;
/** Asked to stop, a gate records what is still running; this is far longer than that takes. */
const STOP_MS = 10_000;

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line to its end, in a home of ours. Never rejects. */
export function portcullis(home: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PORTCULLIS, ...args], { env: environment(home) }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, stdout, stderr });
    });
  });
}

/** What another gate writes down of the one that lives there: its name and its public key, which are made with that. */
export async function asPeer(home: string): Promise<object> {
  mkdirSync(home, { recursive: true });
  const { stdout } = await portcullis(home, ['keys', '--json']);
  return (JSON.parse(stdout) as { peer: object }).peer;
}

export class GateProcess {
  readonly home: string;
  /** For agents. */
  readonly url: string;
  readonly ledger: string;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #said: { readonly notes: string };

  private constructor(
    home: string,
    { listening, ledger }: { listening: string; ledger: string },
    child: ChildProcessByStdio<null, Readable, Readable>,
    said: { readonly notes: string },
  ) {
    this.home = home;
    this.url = listening;
    this.ledger = ledger;
    this.#child = child;
    this.#said = said;
  }

  /** Starts on a free port with the rules of its name. Rejects when it does not open. */
  static async start(home: string, name: string, manifest: object): Promise<GateProcess> {
    cpSync(join(RULES, `${name}.cedar`), join(home, 'policy', `${name}.cedar`));
    // JSON is YAML.
    const text = JSON.stringify({ apiVersion: 'portcullis/v1', ...manifest }, undefined, 2);
    const file = join(home, 'portcullis.yaml');
    writeFileSync(file, `${text}\n`);
    await approveServers(home, file);
    const child = spawn(process.execPath, [PORTCULLIS, 'serve', '--name', name, '--http', '127.0.0.1:0', '--json'], {
      env: environment(home),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = { answer: '', notes: '' };
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      said.answer += part;
    });
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      said.notes += part;
    });
    try {
      await until(
        () => said.notes.includes('open: '),
        () => {
          const over = child.exitCode !== null || said.notes.includes('shut (');
          return over ? `the gate does not open: ${said.notes}` : undefined;
        },
      );
      return new GateProcess(home, JSON.parse(said.answer) as { listening: string; ledger: string }, child, said);
    } catch (error) {
      await ended(child);
      throw error;
    }
  }

  /** Resolves when it, or a server of it, has said this so many times. */
  async says(text: string, times = 1): Promise<void> {
    await until(
      () => this.#said.notes.split(text).length > times,
      () => undefined,
    );
  }

  stop(): Promise<void> {
    return ended(this.#child);
  }
}

/** What the example wrote itself a moment ago needs no second look. */
async function approveServers(home: string, file: string): Promise<void> {
  const { manifest } = readConfiguration(file);
  const servers = Object.entries(manifest.servers);
  const launches = await Promise.all(servers.map(([name, server]) => launchOf(name, server, home)));
  await approveAsTheyAre(findHome(environment(home)), launches);
}

function environment(home: string): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH ?? '', HOME: home, PORTCULLIS_HOME: home };
}

async function until(happened: () => boolean, problem: () => string | undefined): Promise<void> {
  const end = Date.now() + SAYS_MS;
  while (!happened()) {
    const wrong = problem() ?? (Date.now() > end ? 'it took too long' : undefined);
    if (wrong !== undefined) throw new Error(wrong);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function ended(child: ChildProcessByStdio<null, Readable, Readable>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await gone;
  clearTimeout(timer);
}
