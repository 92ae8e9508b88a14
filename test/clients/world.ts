// One client on a machine of its own: a home with nothing else in it, a folder to work in, a server that writes down what it did, a model, and the
// command line of the product as its user types it. What is started here is ended here, by its id.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Machine } from '../../adapters/clients/client-paths.ts';
import { type Disk, foundFiles } from '../../adapters/clients/found-files.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { type Ended, PORTCULLIS, RunningCommand } from '../support/cli.ts';
import type { InstalledClient } from './installed.ts';
import { ScriptedModelServer } from './model/scripted-server.ts';
import { script } from './model/turn.ts';
import type { RealClient, Session, UserFolders } from './real-client.ts';

const COMMAND_MS = 60_000;
const SESSION_MS = 120_000;
const INTERRUPTS = 3;
const INTERRUPT_MS = 2_000;

export class ClientWorld implements UserFolders {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-client-')));
  readonly home = join(this.folder, 'home');
  readonly project = join(this.folder, 'a project');
  readonly model = new ScriptedModelServer();
  readonly client: RealClient;
  readonly installed: InstalledClient;
  file = '';
  /** The client's file as its user wrote it. */
  text = '';
  #address = '';
  readonly #started: RunningCommand[] = [];

  private constructor(client: RealClient, installed: InstalledClient) {
    this.client = client;
    this.installed = installed;
  }

  static async open(client: RealClient, installed: InstalledClient): Promise<ClientWorld> {
    const world = new ClientWorld(client, installed);
    mkdirSync(world.project, { recursive: true });
    world.#address = await world.model.listen();
    const server = {
      command: process.execPath,
      args: [fixtureServer('counter.mjs')],
      // What it answers is no JSON: one of the clients takes such a text apart, and complains.
      env: { COUNTER_FILE: world.#notes, COUNTER_UNIT: 'so far' },
    };
    const { file, text } = client.configuration(world, server);
    world.file = file;
    world.text = text.replaceAll('MODEL/', `${world.#address}/`);
    world.#write(file, world.text);
    const login = client.login?.(world.#address);
    if (login !== undefined) await world.#toItsEnd(installed.program, login, world.env, COMMAND_MS);
    return world;
  }

  /** Of a user who has set little: what a client adds or takes away on the way to a server is the client's. */
  get env(): Record<string, string> {
    const { installed, home, client } = this;
    const folders = client.folders?.(this) ?? {};
    return { PATH: installed.path, HOME: home, LANG: 'C.UTF-8', TERM: 'dumb', TMPDIR: tmpdir(), ...folders };
  }

  get #notes(): string {
    return join(this.folder, 'counted');
  }

  /** What the server counted, one line of arguments each: a call that is not in it never reached it. */
  counted(): string[] {
    return linesOf(readOr(this.#notes));
  }

  bytes(): string {
    return readFileSync(this.file, 'utf8');
  }

  /** The entries of servers that a text of the client's file has. */
  serversIn(text: string): Json[] {
    const { home, project: cwd, file } = this;
    const machine: Machine = { platform: 'linux', home, env: this.env, cwd };
    const disk: Disk = {
      read: (path) => (path === file ? { bytes: Buffer.from(text), real: file } : undefined),
      list: (folder) => (folder === dirname(file) ? [basename(file)] : []),
      exists: (path) => path === file,
    };
    return foundFiles(machine, disk).files.flatMap(({ servers }) => servers.map(({ raw }) => raw));
  }

  /** `portcullis ...`, to its end. */
  async portcullis(...args: readonly string[]): Promise<Ended> {
    return this.#toItsEnd(process.execPath, [PORTCULLIS, ...args], this.env, COMMAND_MS);
  }

  async answer<Answer>(...args: readonly string[]): Promise<Answer> {
    const ended = await this.portcullis(...args, '--json');
    try {
      return JSON.parse(ended.stdout) as Answer;
    } catch {
      throw new Error(`portcullis ${args.join(' ')} ended with ${ended.code}: ${ended.stdout}${ended.stderr}`);
    }
  }

  /** A session of the client in which its model wants one call. */
  start(tool: string, args: JsonObject, more: Partial<Session> = {}): RunningCommand {
    const { home, project, client, installed } = this;
    const session = { home, project, prompt: script(tool, args), model: this.#address, ...more };
    const { args: line, env } = client.session(session);
    const running = new RunningCommand(installed.program, line, { ...this.env, ...env }, project, { detached: true });
    running.child.stdin.end();
    this.#started.push(running);
    return running;
  }

  /** What the model was told of the call, and what the user saw. */
  async call(tool: string, args: JsonObject, more: Partial<Session> = {}): Promise<{ told: string; ended: Ended }> {
    const before = this.model.heard.length;
    const ended = await this.#bounded(this.start(tool, args, more), SESSION_MS);
    return { told: this.told(before), ended };
  }

  /** The last result of a tool that the model was shown since. */
  told(since: number): string {
    return (
      this.model.heard
        .slice(since)
        .findLast(({ results }) => results.length > 0)
        ?.results.at(-1) ?? ''
    );
  }

  /** Names of the tools that the model could have called since. */
  offered(since = 0): string[] {
    const tools = this.model.heard.slice(since).flatMap(({ tools }) => tools);
    return [...new Set(tools.map(({ namespace = '', name }) => `${namespace}${name}`))];
  }

  ledgers(): string[] {
    const gates = join(this.home, '.local', 'state', 'portcullis', 'gates');
    return foldersIn(gates).map((name) => join(gates, name, 'ledger'));
  }

  /** The entries of all ledgers about calls. */
  async entries(): Promise<JsonObject[]> {
    const said = await Promise.all(this.ledgers().map((ledger) => this.portcullis('log', ledger, '--json')));
    return said.flatMap(({ stdout }) => linesOf(stdout).map((line) => JSON.parse(line) as JsonObject));
  }

  /** Ctrl-C, as often as it takes. */
  async interrupt(running: RunningCommand): Promise<Ended> {
    for (let times = 0; times < INTERRUPTS && !running.over; times++) {
      running.signalGroup('SIGINT');
      await Promise.race([running.ended, new Promise((resolve) => setTimeout(resolve, INTERRUPT_MS))]);
    }
    return this.#bounded(running, COMMAND_MS);
  }

  settles(running: RunningCommand): Promise<Ended> {
    return this.#bounded(running, SESSION_MS);
  }

  rules(): string {
    return join(this.home, '.config', 'portcullis', 'policy', 'counter.cedar');
  }

  async close(keep: boolean): Promise<void> {
    await this.portcullis('gate', '--stop').catch(() => undefined);
    for (const running of this.#started) running.signalGroup('SIGKILL');
    await Promise.all(this.#started.map(({ ended }) => ended));
    for (const pid of this.#leftBehind()) kill(pid);
    await this.model.close();
    if (!keep) rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  /** Processes that a client left behind in groups of their own: those that have this home. */
  #leftBehind(): number[] {
    const home = `HOME=${this.home}`;
    const pids = foldersIn('/proc').filter((name) => /^\d+$/.test(name));
    return pids.filter((pid) => readOr(`/proc/${pid}/environ`).split('\0').includes(home)).map(Number);
  }

  #toItsEnd(command: string, args: readonly string[], env: NodeJS.ProcessEnv, ms: number): Promise<Ended> {
    const running = new RunningCommand(command, args, env, this.project, { detached: true });
    running.child.stdin.end();
    this.#started.push(running);
    return this.#bounded(running, ms);
  }

  async #bounded(running: RunningCommand, ms: number): Promise<Ended> {
    const timer = setTimeout(() => running.signalGroup('SIGKILL'), ms);
    const ended = await running.ended;
    clearTimeout(timer);
    return ended;
  }

  #write(file: string, text: string): void {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
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
