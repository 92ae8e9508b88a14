// A tool server that is a process of ours, spoken to over its standard input and output.
// Each start is a new process; a call that was handed over is never handed over again.

import { randomBytes } from 'node:crypto';
import { Defect } from '../../../domain/defect.ts';
import type { JsonObject } from '../../../domain/json.ts';
import type { Era } from '../../../proxy/tool-server.ts';
import { Connection, type ConnectionListener } from '../connection.ts';
import { UPSTREAM_LIMITS, type UpstreamLimits } from '../limits.ts';
import { ModernSession } from '../modern/modern-session.ts';
import type { OpenPipe, WhenIgnored } from '../ports.ts';
import { resolveCommand, whyNotFolder } from './command.ts';
import { serverEnvironment, type Variables } from './environment.ts';
import { launchPlan, type MachineMeans } from './launch-plan.ts';
import { findMachineMeans, NO_MEANS } from './machine-means.ts';
import type { SandboxMaker } from './ports.ts';
import {
  type Adopt,
  CONNECTION_FD,
  type EndedProcess,
  PROCESS_LIMITS,
  type ProcessLimits,
  ProcessPipe,
} from './process-pipe.ts';
import type { Resources } from './resources.ts';
import type { StartedProcess, StartGuard, StartLine } from './start-guard.ts';
import { MARK_VARIABLE } from './stray-processes.ts';

export interface StdioServerConfig {
  readonly name: string;
  readonly command: string;
  readonly args?: readonly string[];
  readonly cwd?: string;
  /** Variables set for the server. */
  readonly env?: Readonly<Record<string, string>>;
  /** Names of further variables taken over from our own environment. */
  readonly inherit?: readonly string[];
  readonly resources?: Resources;
}

/** Hears of what belongs to the process and to no message. */
export interface ProcessListener {
  /** A process was started, in this tick. */
  onProcess?(pid: number): void;
  onStderr?(bytes: Uint8Array): void;
  /** It is gone, and nobody asked it to go; of one that never became a server, only where it went by itself. */
  onProcessEnded?(ended: EndedProcess): void;
}

export interface StdioServerSurroundings {
  readonly clientInfo: JsonObject;
  readonly ourEnvironment?: Variables;
  readonly listener?: ConnectionListener & ProcessListener;
  readonly limits?: Partial<UpstreamLimits>;
  readonly processLimits?: Partial<ProcessLimits>;
  /** From findMachineMeans(), which is asked here when this is absent. Must not reject. */
  readonly means?: () => Promise<MachineMeans>;
  /** For a server with a sandbox, which then is the only place that its processes are started in. */
  readonly sandbox?: SandboxMaker | undefined;
  /** Names the gate in what its servers' processes are found by, on machines without pid namespaces. */
  readonly gate?: string;
  /** `end` when absent. */
  readonly whenIgnored?: WhenIgnored;
  /** For a server that is an agent: serves what each process of it says over a connection of its own. */
  readonly adopt?: Adopt | undefined;
  /** Looks at the process before it is started, and before it is believed. */
  readonly guard?: StartGuard | undefined;
}

/** Tells a process which descriptor its connection to the gate is. */
const CONNECTION_VARIABLE = 'PORTCULLIS_FD';

export interface StdioToolServer extends Connection {
  /** The server's own process while it is connected, for attestation: not one of ours that may stand between. */
  pid(): number | undefined;
}

/** A namespace needs no mark, and a server not one more variable. */
function marked(generations: number, gate = 'gate'): string | undefined {
  if (generations > 0 || process.platform !== 'linux') return undefined;
  return `${gate}.${randomBytes(16).toString('base64url')}`;
}

/** What is started for a configuration, with our environment as it is. Throws an Error with a plain explanation where nothing can be. */
export function startLine(config: StdioServerConfig, ourEnvironment: Variables = process.env): StartLine {
  const { command, args = [], cwd = process.cwd(), env: set = {}, inherit = [] } = config;
  const environment = serverEnvironment(ourEnvironment, { set, inherit });
  if (!environment.ok) throw new Error(environment.reason);
  const noFolder = whyNotFolder(cwd);
  if (noFolder !== undefined) throw new Error(noFolder);
  return { command, args, cwd, env: environment.env, configured: [...inherit, ...Object.keys(set)] };
}

/** The server in the words of one era. */
export function stdioToolServer(
  config: StdioServerConfig,
  surroundings: StdioServerSurroundings,
  era: Era = 'legacy',
): StdioToolServer {
  const { clientInfo, listener = {}, ourEnvironment = process.env, adopt, guard } = surroundings;
  const { means: findMeans = findMachineMeans, sandbox } = surroundings;
  const limits = { ...PROCESS_LIMITS, ...surroundings.processLimits };
  const { resources = {} } = config;
  let means: MachineMeans = NO_MEANS;
  let approved: StartLine | undefined;
  let pipe: ProcessPipe | undefined;
  let started: StartedProcess | undefined;
  const lineNow = (): StartLine => startLine(config, ourEnvironment);
  const open: OpenPipe = (handlers) => {
    if (guard !== undefined && approved === undefined) throw new Defect('a process that nobody looked at');
    const line = approved ?? lineNow();
    // What was looked at is good for one start.
    approved = undefined;
    const { cwd } = line;
    const command = resolveCommand(line.command, line.env.PATH, cwd);
    if (!command.ok) throw new Error(command.reason);
    const onStderr = (bytes: Uint8Array) => listener.onStderr?.(bytes);
    const program = { file: command.file, args: line.args, cwd };
    const made = sandbox?.make(program);
    if (made?.ok === false) throw new Error(made.reason);
    const planned = launchPlan({ ...program, resources }, means, made?.enclosure);
    if (!planned.ok) throw new Error(planned.reason);
    const mark = marked(planned.plan.generations, surroundings.gate);
    // What the configuration sets was checked against what a sandbox says.
    const surrounded = made === undefined ? line.env : { ...line.env, ...made.env, ...config.env };
    const env = {
      ...surrounded,
      ...(adopt === undefined ? {} : { [CONNECTION_VARIABLE]: `${CONNECTION_FD}` }),
      ...(mark === undefined ? {} : { [MARK_VARIABLE]: mark }),
    };
    const at = made === undefined ? cwd : '/';
    const own: StartedProcess = { line, pid: () => opened.serverPid, end: (reason) => opened.destroy(reason) };
    const onGone = (): void => guard?.ended(own);
    const onEnded = (ended: EndedProcess) => {
      const wasServer = connection.description !== undefined;
      if (ended.by === 'itself' || (ended.by === 'destroyed' && wasServer)) listener.onProcessEnded?.(ended);
    };
    const spec = { plan: planned.plan, cwd: at, env, mark, onStderr, onEnded, adopt, onGone };
    const opened = new ProcessPipe(spec, limits, handlers);
    if (opened.pid !== undefined) listener.onProcess?.(opened.pid);
    pipe = opened;
    started = own;
    return opened;
  };
  const connection = new Connection({
    name: config.name,
    open,
    clientInfo,
    limits: { ...UPSTREAM_LIMITS, ...surroundings.limits },
    listener,
    prepare: async () => {
      [means, approved] = await Promise.all([findMeans(), guard?.before(lineNow()), sandbox?.prepare()]);
    },
    ...(guard === undefined
      ? {}
      : {
          confirm: async () => {
            const process = started;
            if (process === undefined) throw new Defect('a conversation without its process');
            await guard.started(process).catch((error: unknown) => {
              process.end(error instanceof Error ? error.message : String(error));
              throw error;
            });
          },
        }),
    onStopped: () => sandbox?.release?.(),
    process: () => pipe?.own,
    whenIgnored: surroundings.whenIgnored ?? 'end',
    ...(era === 'modern' ? { begin: (options) => new ModernSession({ ...options, streams: false }) } : {}),
  });
  return Object.assign(connection, { pid: () => (connection.description === undefined ? undefined : pipe?.serverPid) });
}
