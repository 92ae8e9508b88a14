// From the manifest's words to a running tool server.

import { resolve } from 'node:path';
import type { RouteConfig } from '../adapters/network/route.ts';
import type { StatedSandbox } from '../adapters/sandbox/sandboxes.ts';
import type { ConnectionListener } from '../adapters/upstream/connection.ts';
import { inEra } from '../adapters/upstream/era-choice.ts';
import type { CredentialStore } from '../adapters/upstream/http/oauth/credentials.ts';
import type { Consent } from '../adapters/upstream/http/oauth/grants.ts';
import type { Variables } from '../adapters/upstream/stdio/environment.ts';
import type { MachineMeans } from '../adapters/upstream/stdio/launch-plan.ts';
import type { SandboxMaker } from '../adapters/upstream/stdio/ports.ts';
import type { Adopt } from '../adapters/upstream/stdio/process-pipe.ts';
import type { Resources } from '../adapters/upstream/stdio/resources.ts';
import type { StartGuard, StartLine } from '../adapters/upstream/stdio/start-guard.ts';
import { type ProcessListener, startLine, stdioToolServer } from '../adapters/upstream/stdio/stdio-tool-server.ts';
import type { CallLimits } from '../control-plane/authorization.ts';
import { CALL_OUTPUT_BYTES_DEFAULT, CALL_TIMEOUT_MS_DEFAULT } from '../control-plane/policy/limits.ts';
import type { ManifestRemote, ManifestServer } from '../control-plane/policy/manifest.ts';
import { Defect } from '../domain/defect.ts';
import type { JsonObject } from '../domain/json.ts';
import type { OnPolicyChange } from '../proxy/guards/why-not.ts';
import type { Callee } from '../proxy/lineage-tokens.ts';
import type { ApartServer } from '../proxy/server-pool.ts';
import type { ToolServer } from '../proxy/tool-server.ts';
import { EXIT } from './exit-codes.ts';
import { CommandError } from './output.ts';
import { describedSandbox, statedSandbox } from './sandboxing.ts';

export interface ServerLaunch {
  readonly name: string;
  readonly limits: CallLimits;
  /** Calls that may be with the server at once; absent where the manifest does not say. */
  readonly concurrency?: number | undefined;
  /** For how long a tool may show no progress, where the manifest says. */
  readonly idleTimeoutMs?: number | undefined;
  /** What becomes of its calls that run when other rules come into force. */
  readonly onPolicyChange?: OnPolicyChange | undefined;
  /** Absent where all conversations share it. */
  readonly apart?: ApartServer['by'];
  /** `allow`: a call may be made again of which nobody knows whether it ran. */
  readonly retryAfterUnknown?: ManifestServer['retryAfterUnknown'];
  /** How the server is reached, without secrets: part of its attestation. */
  readonly description: JsonObject;
  /** What its process sees and reaches; absent, it does what its user may. */
  readonly sandbox?: StatedSandbox | undefined;
  readonly start: (surroundings: ServerSurroundings) => ToolServer;
  /** Of a process: what is started, with our environment as it is. Throws an Error with a plain explanation where nothing can be. */
  readonly line?: () => StartLine;
  /** The folder it is started in, where that is not said but is ours. */
  readonly ranIn?: string;
  /** It is a process that may be an agent too, and calls back over a connection of its own. */
  readonly callsBack?: boolean;
  /** Its tools are functions of the program that opens the gate: that program says what they are, and nobody else has to. */
  readonly ownProgram?: boolean;
  /** Whom its tokens are for, where it is part of this process; for every other server the manifest says that. */
  readonly callee?: () => Callee | undefined;
}

export interface ServerSurroundings {
  readonly clientInfo: JsonObject;
  readonly listener: ConnectionListener & ProcessListener;
  /** For servers that want a token. */
  readonly credentials?: CredentialStore | undefined;
  readonly consent?: Consent | undefined;
  /** The agent of the one conversation that it is for. */
  readonly agent?: string | undefined;
  /** What holds a process here; found out by each server for itself when absent. */
  readonly means?: () => Promise<MachineMeans>;
  /** For a server with a sandbox. */
  readonly sandbox?: SandboxMaker | undefined;
  /** Names this gate to those who look for processes that it left behind. */
  readonly gate?: string;
  /** For a process that is an agent itself. */
  readonly adopt?: Adopt | undefined;
  /** Looks at a process before it is started, and before it is believed. */
  readonly guard?: StartGuard | undefined;
}

/** A process, as it stands on a command line. */
export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

/** A process of which no manifest speaks: what one that says only its command would say. */
export function unlistedServer(line: CommandLine): ManifestServer {
  return {
    stdio: { command: line.command, args: [...line.args], env: { allow: [], set: {} } },
    isolation: 'shared',
    limits: { timeoutMs: CALL_TIMEOUT_MS_DEFAULT, outputBytes: CALL_OUTPUT_BYTES_DEFAULT },
  };
}

const APART: Readonly<Record<ManifestServer['isolation'], ServerLaunch['apart']>> = {
  shared: undefined,
  'per-session': 'conversation',
  'per-root': 'chain',
};

/**
 * How to start a server of the manifest. What speaks HTTP is loaded only for a server that does: it takes a while. `environment` is where the variables
 * come from that it is to have, and the secrets of its headers.
 */
export async function launchOf(
  name: string,
  server: ManifestServer,
  baseFolder: string,
  workingFolder = process.cwd(),
  environment: Variables = process.env,
): Promise<ServerLaunch> {
  const { concurrency, idleTimeoutMs, cancelGraceMs, timeoutMs, outputBytes } = server.limits;
  const { onPolicyChange } = server;
  if (server.inProcess !== undefined) {
    throw new CommandError(`the tools of servers.${name} are functions of a program`, EXIT.usage, [
      'that program opens the gate itself: see docs/in-process.md',
    ]);
  }
  const apart = APART[server.isolation];
  const limits = { timeoutMs, outputBytes };
  /** With the bounds that the manifest sets for the conversation itself. */
  const bounded = (surroundings: ServerSurroundings) => ({
    ...surroundings,
    ourEnvironment: environment,
    ...(cancelGraceMs === undefined ? {} : { limits: { cancelGraceMs } }),
  });
  const common = {
    name,
    limits,
    concurrency,
    idleTimeoutMs,
    onPolicyChange,
    retryAfterUnknown: server.retryAfterUnknown,
    ...(apart === undefined ? {} : { apart }),
  };
  if (server.stdio !== undefined) {
    const { command, args, cwd, env, resources, era: chosen = 'auto' } = server.stdio;
    const limited = resources === undefined ? {} : { resources: definedOf(resources) };
    const sandbox = server.sandbox === undefined ? undefined : statedSandbox(server.sandbox, baseFolder);
    const folder = cwd === undefined ? workingFolder : resolve(baseFolder, cwd);
    const config = { name, command, args, cwd: folder, env: env.set, inherit: env.allow, ...limited };
    return {
      ...common,
      line: () => startLine(config, environment),
      ...(cwd === undefined ? { ranIn: folder } : {}),
      ...(server.agent === undefined ? {} : { callsBack: true }),
      ...(sandbox === undefined ? {} : { sandbox }),
      description: {
        stdio: { command, args, cwd: folder, inherit: env.allow, set: Object.keys(env.set).sort(), ...limited },
        ...(sandbox === undefined ? {} : { sandbox: describedSandbox(sandbox) }),
      },
      start: (surroundings) => {
        // Nothing starts it without the sandbox that it is to have, whoever asks for it.
        if (sandbox !== undefined && surroundings.sandbox === undefined)
          throw new Defect(`the server ${name} without its sandbox`);
        return inEra(name, chosen, 'legacy-first', (era) => stdioToolServer(config, bounded(surroundings), era));
      },
    };
  }
  const { http, sse, ws } = server;
  if (ws !== undefined) {
    const { wsLinks } = await import('../adapters/upstream/ws/ws-tool-server.ts');
    const headers = headersOf(ws);
    return {
      ...common,
      description: { ws: said(ws, headers) },
      start: (surroundings) => {
        const config = { name, url: ws.url, headers, oauth: ws.oauth, ...wayOf(ws) };
        return inEra(name, ws.era ?? 'auto', 'legacy-first', wsLinks(config, bounded(surroundings)));
      },
    };
  }
  if (sse !== undefined) {
    const { sseToolServer } = await import('../adapters/upstream/sse/sse-tool-server.ts');
    const headers = headersOf(sse);
    return {
      ...common,
      description: { sse: said(sse, headers) },
      start: (surroundings) =>
        sseToolServer({ name, url: sse.url, headers, oauth: sse.oauth, ...wayOf(sse) }, bounded(surroundings)),
    };
  }
  if (http === undefined) throw new Error(`servers.${name} does not say how it is reached`);
  const { httpLinks } = await import('../adapters/upstream/http/http-tool-server.ts');
  const { url, oauth, era: chosen = 'auto' } = http;
  const fromEnvironment = headersOf(http);
  return {
    ...common,
    description: { http: said(http, fromEnvironment) },
    start: (surroundings) =>
      inEra(
        name,
        chosen,
        'modern-first',
        httpLinks({ name, url, headers: fromEnvironment, oauth, ...wayOf(http) }, bounded(surroundings)),
      ),
  };
}

/** What is said of it belongs to what was approved; what is not said leaves the description as it was. */
function said({ url, oauth, network, pins }: ManifestRemote, headers: object): JsonObject {
  return {
    url,
    headers: Object.keys(headers).sort(),
    ...(oauth === undefined ? {} : { oauth: true }),
    ...(network === undefined ? {} : { network }),
    ...(pins === undefined ? {} : { pins: [...pins].sort() }),
  };
}

/** Where connections to it may lead, and to whose key. */
export function wayOf({ network, pins }: Pick<ManifestRemote, 'network' | 'pins'>): RouteConfig {
  return { network, pins };
}

function definedOf(resources: Resources): Record<string, number> {
  return Object.fromEntries(
    Object.entries(resources).flatMap(([name, limit]) => (limit === undefined ? [] : [[name, limit]])),
  );
}

/** What goes with every request, its values still in our environment. */
function headersOf({ auth, headers }: ManifestRemote): Record<string, { fromEnv: string; prefix?: string }> {
  return {
    ...Object.fromEntries(Object.entries(headers).map(([header, { env }]) => [header, { fromEnv: env }])),
    ...(auth === undefined ? {} : { Authorization: { fromEnv: auth.env, prefix: 'Bearer ' } }),
  };
}
