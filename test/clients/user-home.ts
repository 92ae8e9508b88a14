// A user on a machine of his own: a home with nothing else in it, a folder to work in, a server that writes down what it did, a model, and the command
// line of the product as he types it. What is started here is ended here, by its id.

import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedGateNotes } from '../../cli/home.ts';
import type { JsonObject } from '../../domain/json.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { type Ended, PORTCULLIS, RunningCommand } from '../support/cli.ts';
import { ScriptedModelServer } from './model/scripted-server.ts';
import type { ConfiguredServer, UserFolders } from './real-client.ts';

const COMMAND_MS = 60_000;
const EVIDENCE_COMMANDS = 4;
const EVIDENCE_CHARACTERS = 1_000;

export interface Process {
  readonly pid: number;
  readonly line: readonly string[];
}

export class UserHome implements UserFolders {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-client-')));
  readonly home = join(this.folder, 'home');
  readonly project = join(this.folder, 'a project');
  readonly model = new ScriptedModelServer();
  /** Of the model. */
  address = '';
  /** Where clients look for their own files. */
  readonly folders: Record<string, string> = {};
  readonly #path: string;
  readonly #started: RunningCommand[] = [];
  #judged = 0;

  private constructor(path: string) {
    this.#path = path;
  }

  /** `path`: with the Node of the clients first. */
  static async open(path: string): Promise<UserHome> {
    const user = new UserHome(path);
    mkdirSync(user.home);
    mkdirSync(user.project);
    user.address = await user.model.listen();
    return user;
  }

  /** Of a user who has set little: what a client adds or takes away on the way to a server is the client's. */
  get env(): Record<string, string> {
    return {
      PATH: this.#path,
      HOME: this.home,
      LANG: 'C.UTF-8',
      TERM: 'dumb',
      TMPDIR: tmpdir(),
      ...this.folders,
    };
  }

  /** The server that he has in his clients. */
  get counter(): ConfiguredServer {
    return {
      command: process.execPath,
      args: [fixtureServer('counter.mjs')],
      // What it answers is no JSON: one of the clients takes such a text apart, and complains.
      env: { COUNTER_FILE: this.#countedIn, COUNTER_RELEASES: this.#released, COUNTER_UNIT: 'so far' },
    };
  }

  get #countedIn(): string {
    return join(this.folder, 'counted');
  }

  get #released(): string {
    return join(this.folder, 'released');
  }

  /** A count by 100 or more is answered only when this was said of it. */
  release(by: number): void {
    appendFileSync(this.#released, `${by}\n`);
  }

  /** What the server counted, one line of arguments each: a call that is not in it never reached it. */
  counted(): string[] {
    return linesOf(readOr(this.#countedIn));
  }

  /** `portcullis ...`, to its end. */
  async portcullis(...args: readonly string[]): Promise<Ended> {
    const running = this.start(process.execPath, [PORTCULLIS, ...args]);
    return this.bounded(running, COMMAND_MS);
  }

  async answer<Answer>(...args: readonly string[]): Promise<Answer> {
    const ended = await this.portcullis(...args, '--json');
    try {
      return JSON.parse(ended.stdout) as Answer;
    } catch {
      throw new Error(`portcullis ${args.join(' ')} ended with ${ended.code}: ${ended.stdout}${ended.stderr}`);
    }
  }

  /** Anything, in the user's folder and with nothing on its standard input. */
  start(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCommand {
    const running = new RunningCommand(command, args, { ...this.env, ...env }, this.project, { detached: true });
    running.child.stdin.end();
    this.#started.push(running);
    return running;
  }

  async bounded(running: RunningCommand, ms = COMMAND_MS): Promise<Ended> {
    const timer = setTimeout(() => running.signalGroup('SIGKILL'), ms);
    const ended = await running.ended;
    clearTimeout(timer);
    return ended;
  }

  ledgers(): string[] {
    const gates = join(this.state, 'gates');
    return foldersIn(gates).map((name) => join(gates, name, 'ledger'));
  }

  /** The entries of all ledgers about calls. */
  async entries(): Promise<JsonObject[]> {
    const said = await Promise.all(this.ledgers().map((ledger) => this.portcullis('log', ledger, '--json')));
    return said.flatMap(({ stdout }) => linesOf(stdout).map((line) => JSON.parse(line) as JsonObject));
  }

  get state(): string {
    return join(this.home, '.local', 'state', 'portcullis');
  }

  rules(server = 'counter'): string {
    return join(this.home, '.config', 'portcullis', 'policy', `${server}.cedar`);
  }

  /** What runs with this home. */
  processes(): Process[] {
    const home = `HOME=${this.home}`;
    return foldersIn('/proc')
      .filter((name) => /^\d+$/.test(name) && readOr(`/proc/${name}/environ`).split('\0').includes(home))
      .map((name) => ({ pid: Number(name), line: readOr(`/proc/${name}/cmdline`).split('\0') }));
  }

  /** The processes of gates that clients share. */
  gates(): Process[] {
    return this.processes().filter(({ line }) => line[line.indexOf(PORTCULLIS) + 1] === 'gate');
  }

  /** What tells why a step failed: how the latest commands ended, and what the gate wrote. */
  evidence(): string {
    const first = Math.max(this.#judged, this.#started.length - EVIDENCE_COMMANDS);
    const commands = this.#started.slice(first).map(({ child, stdout, stderr }) => {
      const end = child.exitCode ?? child.signalCode ?? 'runs';
      return `$ ${child.spawnargs.join(' ')}\n[${end}]\n${tail(stdout)}\n${tail(stderr)}`;
    });
    const asked = this.model.requests.slice(-EVIDENCE_COMMANDS).join(', ');
    return [...commands, `the model was asked: ${asked}`, `the gate's notes:\n${tail(this.notes())}`].join('\n');
  }

  /** What the shared gate wrote. */
  notes(): string {
    return readOr(sharedGateNotes({ config: '', state: this.state }));
  }

  /** What was started so far is no evidence any more. */
  judged(): void {
    this.#judged = this.#started.length;
  }

  async close(keep: boolean): Promise<void> {
    await this.portcullis('gate', '--stop').catch(() => undefined);
    for (const running of this.#started) running.signalGroup('SIGKILL');
    await Promise.all(this.#started.map(({ ended }) => ended));
    // Processes that a client left behind in groups of their own.
    for (const { pid } of this.processes()) kill(pid);
    await this.model.close();
    if (!keep) rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

function tail(text: string): string {
  return text.length > EVIDENCE_CHARACTERS ? `...${text.slice(-EVIDENCE_CHARACTERS)}` : text;
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function readOr(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
