// A tool server that is a process of ours, spoken to over its standard input and output.
// Each start is a new process; a call that was handed over is never handed over again.

import type { JsonObject } from '../../../domain/json.ts';
import type { Era } from '../../../proxy/tool-server.ts';
import { Connection, type ConnectionListener } from '../connection.ts';
import { UPSTREAM_LIMITS, type UpstreamLimits } from '../limits.ts';
import { ModernSession } from '../modern/modern-session.ts';
import type { OpenPipe } from '../ports.ts';
import { resolveCommand, whyNotFolder } from './command.ts';
import { serverEnvironment, type Variables } from './environment.ts';
import { launchPlan, type MachineMeans } from './launch-plan.ts';
import { findMachineMeans, NO_MEANS } from './machine-means.ts';
import type { SandboxMaker } from './ports.ts';
import { type Adopt, CONNECTION_FD, PROCESS_LIMITS, type ProcessLimits, ProcessPipe } from './process-pipe.ts';
import type { Resources } from './resources.ts';

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

export interface StdioServerSurroundings {
  readonly clientInfo: JsonObject;
  readonly ourEnvironment?: Variables;
  readonly listener?: ConnectionListener & { onStderr?(bytes: Uint8Array): void };
  readonly limits?: Partial<UpstreamLimits>;
  readonly processLimits?: Partial<ProcessLimits>;
  /** From findMachineMeans(), which is asked here when this is absent. Must not reject. */
  readonly means?: () => Promise<MachineMeans>;
  /** For a server with a sandbox, which then is the only place that its processes are started in. */
  readonly sandbox?: SandboxMaker | undefined;
  /** For a server that is an agent: serves what each process of it says over a connection of its own. */
  readonly adopt?: Adopt | undefined;
}

/** Tells a process which descriptor its connection to the gate is. */
const CONNECTION_VARIABLE = 'PORTCULLIS_FD';

export interface StdioToolServer extends Connection {
  /** The server's own process while it is connected, for attestation: not one of ours that may stand between. */
  pid(): number | undefined;
}

/** The server in the words of one era. */
export function stdioToolServer(
  config: StdioServerConfig,
  surroundings: StdioServerSurroundings,
  era: Era = 'legacy',
): StdioToolServer {
  const { clientInfo, listener = {}, ourEnvironment = process.env, adopt } = surroundings;
  const { means: findMeans = findMachineMeans, sandbox } = surroundings;
  const limits = { ...PROCESS_LIMITS, ...surroundings.processLimits };
  let means: MachineMeans = NO_MEANS;
  let pipe: ProcessPipe | undefined;
  const open: OpenPipe = (handlers) => {
    const environment = serverEnvironment(ourEnvironment, { set: config.env ?? {}, inherit: config.inherit ?? [] });
    if (!environment.ok) throw new Error(environment.reason);
    const cwd = config.cwd ?? process.cwd();
    const noFolder = whyNotFolder(cwd);
    if (noFolder !== undefined) throw new Error(noFolder);
    const command = resolveCommand(config.command, environment.env.PATH, cwd);
    if (!command.ok) throw new Error(command.reason);
    const onStderr = (bytes: Uint8Array) => listener.onStderr?.(bytes);
    const env =
      adopt === undefined ? environment.env : { ...environment.env, [CONNECTION_VARIABLE]: `${CONNECTION_FD}` };
    const { args = [], resources = {} } = config;
    const program = { file: command.file, args, cwd };
    const made = sandbox?.make(program);
    if (made?.ok === false) throw new Error(made.reason);
    const planned = launchPlan({ ...program, resources: made?.limits ?? resources }, means, made?.enclosure);
    if (!planned.ok) throw new Error(planned.reason);
    // What the configuration sets was checked against what a sandbox says.
    const surrounded = made === undefined ? env : { ...env, ...made.env, ...config.env };
    const at = made === undefined ? cwd : '/';
    pipe = new ProcessPipe({ plan: planned.plan, cwd: at, env: surrounded, onStderr, adopt }, limits, handlers);
    return pipe;
  };
  const connection = new Connection({
    name: config.name,
    open,
    clientInfo,
    limits: { ...UPSTREAM_LIMITS, ...surroundings.limits },
    listener,
    prepare: async () => {
      means = await findMeans();
      await sandbox?.prepare();
    },
    process: () => pipe?.own,
    ...(era === 'modern' ? { begin: (options) => new ModernSession({ ...options, streams: false }) } : {}),
  });
  return Object.assign(connection, { pid: () => (connection.description === undefined ? undefined : pipe?.serverPid) });
}
