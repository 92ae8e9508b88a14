// The command line as a user has it: `node bin/portcullis.js ...`, in a home of its own. What is started here is ended here, by its id.

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Approvals } from '../../cli/approvals.ts';
import { readConfiguration } from '../../cli/configuration.ts';
import { EXIT } from '../../cli/exit-codes.ts';
import { openKeys } from '../../cli/ledger.ts';
import { output } from '../../cli/output.ts';
import { launchOf } from '../../cli/servers.ts';
import type { ServerDefinition } from '../../control-plane/integrity/definition.ts';
import type { JsonObject } from '../../domain/json.ts';

export const PORTCULLIS = fileURLToPath(new URL('../../bin/portcullis.js', import.meta.url));

/** Stands before the command line where the servers of a gate are to be approved before it starts. */
export const APPROVING = ['--import', new URL('approve-first.mjs', import.meta.url).href] as const;
const APPROVE_FIRST = fileURLToPath(APPROVING[1]);

/** Far more than any command needs that is to end by itself. */
const RUN_MS = 25_000;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What stands before `node`: strace, prlimit. */
  readonly before?: readonly string[];
  /** `no`: the servers of a gate stay as they are. `fresh`: they are asked now, because what they say is not always the same. */
  readonly approve?: 'no' | 'fresh';
  /** `wrap` joins the gate that all clients share, and is not one of its own. */
  readonly shared?: boolean;
}

/** A command that is running. Its output is kept, and can be waited for. */
export class RunningCommand {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';
  #over = false;
  readonly #waiting = new Set<() => void>();

  /** `detached`: it is the first of a process group, as what a terminal starts is. */
  constructor(
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    cwd: string,
    { detached = false }: { readonly detached?: boolean } = {},
  ) {
    this.child = spawn(command, args, { env, cwd, stdio: 'pipe', detached });
    const { stdout, stderr, stdin } = this.child;
    stdin.on('error', () => undefined);
    stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.#wake();
    });
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#wake();
    });
    this.ended = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (code, signal) => {
        this.#over = true;
        this.#wake();
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  get over(): boolean {
    return this.#over;
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the command did not start');
    return this.child.pid;
  }

  /** Waits until what was written so far satisfies `holds`; throws with the output when it ends or takes too long. */
  async until(holds: (running: this) => boolean, withinMs = 20_000): Promise<this> {
    const end = Date.now() + withinMs;
    while (!holds(this)) {
      const left = end - Date.now();
      if (this.#over || left <= 0) {
        throw new Error(
          `${this.#over ? 'it ended' : 'timed out'}\nstdout: ${tail(this.stdout)}\nstderr: ${tail(this.stderr)}`,
        );
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, Math.min(left, 200));
        const waiting = this.#waiting;
        waiting.add(done);
        function done(): void {
          clearTimeout(timer);
          waiting.delete(done);
          resolve();
        }
      });
    }
    return this;
  }

  says(text: string | RegExp, withinMs?: number): Promise<this> {
    const found = (all: string): boolean => (typeof text === 'string' ? all.includes(text) : text.test(all));
    return this.until(({ stdout, stderr }) => found(stdout) || found(stderr), withinMs);
  }

  /** Waits until the gate is open and so many servers are there: it opens with those that were quick, and says of each other one that it has come. */
  opensWith(servers: number): Promise<this> {
    return this.until(({ stderr }) => {
      const [, quick] = /open: (\d+) server/.exec(stderr) ?? [];
      return quick !== undefined && Number(quick) + (stderr.match(/server \S+ has come$/gm)?.length ?? 0) >= servers;
    });
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** To a detached one and whatever it started that stayed in its group: Ctrl-C. */
  signalGroup(name: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  /** Asks it to stop, and makes it when it does not. */
  async stop(withinMs = 10_000): Promise<Ended> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), withinMs);
    const ended = await this.ended;
    clearTimeout(timer);
    return ended;
  }

  async kill(): Promise<Ended> {
    this.signal('SIGKILL');
    return this.ended;
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

function tail(text: string): string {
  return text.length > 4000 ? `...${text.slice(-4000)}` : text;
}

/** A temporary folder with an installation of its own: configuration, keys, ledgers, and room for a workspace. */
export class Installation {
  readonly folder: string;
  /** PORTCULLIS_HOME. */
  readonly home: string;
  readonly #started: RunningCommand[] = [];
  readonly #approvedApart = new Set<string>();

  constructor() {
    this.folder = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-')));
    this.home = join(this.folder, 'home');
    mkdirSync(this.home);
  }

  /** The environment in which an agent would start us: little of it. */
  get env(): Record<string, string> {
    return { PATH: process.env.PATH ?? '', HOME: this.folder, PORTCULLIS_HOME: this.home };
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** Writes a file below the folder. */
  write(name: string, text: string | Uint8Array): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** The folder of a gate's ledger. */
  ledger(gate: string): string {
    return join(this.home, 'state', 'gates', gate, 'ledger');
  }

  /** Writes a manifest (JSON is YAML) and its rules. */
  configure(manifest: object, rules: string, at = 'home'): string {
    this.write(`${at}/policy/rules.cedar`, rules);
    return this.write(
      `${at}/portcullis.yaml`,
      `${JSON.stringify({ apiVersion: 'portcullis/v1', ...manifest }, null, 2)}\n`,
    );
  }

  /** Approves a server of the manifest as one that says this of itself. For servers that cannot be asked before the gate starts. */
  async approveAs(server: string, tools: readonly JsonObject[], said: Partial<ServerDefinition> = {}): Promise<void> {
    const { manifest, file } = readConfiguration(join(this.home, 'portcullis.yaml'));
    const stated = manifest.servers[server];
    if (stated === undefined) throw new Error(`the manifest lists no server ${server}`);
    const { description: launch } = await launchOf(server, stated, dirname(file), this.folder);
    const state = join(this.home, 'state');
    const definition = { instructions: null, tools, prompts: [], resourceTemplates: [], ...said, launch };
    await new Approvals(state, openKeys(join(state, 'keys')).vault).approve(server, definition, { by: 'a test' });
  }

  start(line: readonly string[], options: StartOptions = {}): RunningCommand {
    const isAlone = line[0] === 'wrap' && options.shared !== true;
    const args = isAlone ? ['wrap', '--alone', ...line.slice(1)] : line;
    const { before = [], approve, cwd = this.folder } = options;
    const env = { ...this.env, ...options.env, ...(approve === undefined ? {} : { PORTCULLIS_TEST_APPROVE: approve }) };
    const opens = args[0] === 'wrap' || args[0] === 'serve' || args[0] === 'gate';
    // What stands before node is there to see or to limit the gate, and nothing else.
    if (opens && before.length > 0) this.#approveApart(args, env, cwd);
    const first = opens && before.length === 0 ? APPROVING : [];
    const [command = '', ...rest] = [...before, process.execPath, ...first, PORTCULLIS, ...args];
    const running = new RunningCommand(command, rest, env, cwd);
    this.#started.push(running);
    return running;
  }

  /** Once for each command line and manifest: a process of its own takes a while. */
  #approveApart(args: readonly string[], env: NodeJS.ProcessEnv, cwd: string): void {
    const written = statSync(join(this.home, 'portcullis.yaml'), { throwIfNoEntry: false })?.mtimeMs;
    const key = JSON.stringify([args, cwd, written]);
    if (this.#approvedApart.has(key)) return;
    this.#approvedApart.add(key);
    spawnSync(process.execPath, [APPROVE_FIRST, ...args], { env, cwd });
  }

  /** Runs a command to its end, with nothing on its standard input. One that does not end is killed. */
  async run(args: readonly string[], options: StartOptions & { input?: string } = {}): Promise<Ended> {
    const running = this.start(args, options);
    running.child.stdin.end(options.input ?? '');
    const timer = setTimeout(() => running.signal('SIGKILL'), RUN_MS);
    const ended = await running.ended;
    clearTimeout(timer);
    return ended;
  }

  /**
   * What `verify` and `replay` say of a ledger, in this process: it is asked after nearly everything, and loading the command line takes longer than the
   * answer. The command line itself has tests of its own.
   */
  async audit([command, ledger, json]: readonly ['verify' | 'replay', string, '--json'?]): Promise<Audited> {
    const said = { stdout: '', stderr: '' };
    const into = (stream: keyof typeof said) => ({ write: (text: string) => (said[stream] += text) });
    const out = output(json !== undefined, { stdout: into('stdout'), stderr: into('stderr') });
    const asked =
      command === 'verify'
        ? (await import('../../cli/commands/verify.ts')).verify
        : (await import('../../cli/commands/replay.ts')).replayLedger;
    const code = await inHome(this.home, async () =>
      asked(ledger, {}, out).catch((error: unknown) => {
        out.error(String(error));
        return EXIT.error;
      }),
    );
    return { code, ...said };
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  /** Ends the gate that all clients share, which is nobody's child. */
  async endSharedGate(): Promise<void> {
    const { meet } = await import('../../adapters/control/meeting-point.ts');
    const met = await meet(join(this.home, 'state'), { stop: true }).catch(() => undefined);
    if (met !== undefined) await once(met.socket.resume().end(), 'close');
  }

  /** Ends what was started and removes the folder. */
  async close(): Promise<void> {
    await this.endSharedGate();
    await Promise.all(this.#started.map((running) => (running.over ? undefined : running.kill())));
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

const homes = { last: Promise.resolve() as Promise<unknown> };

/** Commands find their installation by the environment, of which a process has one: one at a time. */
function inHome<Result>(home: string, work: () => Promise<Result>): Promise<Result> {
  const next = homes.last.then(async () => {
    const before = process.env.PORTCULLIS_HOME;
    process.env.PORTCULLIS_HOME = home;
    try {
      return await work();
    } finally {
      if (before === undefined) delete process.env.PORTCULLIS_HOME;
      else process.env.PORTCULLIS_HOME = before;
    }
  });
  homes.last = next.catch(() => undefined);
  return next;
}

export interface Audited {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const opened: Installation[] = [];

/** An installation that `closeInstallations` ends; call that in afterEach or afterAll. */
export function installation(): Installation {
  const made = new Installation();
  opened.push(made);
  return made;
}

export async function closeInstallations(): Promise<void> {
  await Promise.all(opened.splice(0).map((made) => made.close()));
}
