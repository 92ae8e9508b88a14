// A gate inside of a program: opened by it instead of by a command, with the program's own functions as tools beside the servers of the manifest. It is
// the same gate, with the same keys, ledgers and orders; `portcullis log`, `verify`, `revoke` and `halt` find it by its name.

import { dirname } from 'node:path';
import { FunctionServer } from '../adapters/tools/function-server.ts';
import { keepAlive } from '../adapters/tools/keep-alive.ts';
import type { ToolGate } from '../adapters/tools/ports.ts';
import type { Manifest, ManifestInput } from '../control-plane/policy/manifest.ts';
import { parseManifest } from '../control-plane/policy/parse-manifest.ts';
import { visibleText } from '../domain/visible-text.ts';
import type { OperatorHints } from '../proxy/client-view.ts';
import { Conversation } from '../proxy/conversation.ts';
import { Arrivals } from './arrivals.ts';
import { type Configuration, invalid, readConfiguration } from './configuration.ts';
import { findHome } from './home.ts';
import { localPrincipal } from './identity.ts';
import { openGate as openNamedGate } from './open-gate.ts';
import { CommandError, type Output, output } from './output.ts';
import { isRevocable, REVOCABLE, type Revocable } from './revocable.ts';
import type { RunningGate } from './running-gate.ts';
import { launchOf, type ServerLaunch } from './servers.ts';
import { systemClock } from './system-clock.ts';

export type { ManifestInput };

export interface OpenOptions {
  /** The file of the manifest; or what it says, with the rules as text. Paths in that are relative to the working directory. */
  readonly configuration: string | { readonly manifest: ManifestInput; readonly rules: string };
  /** Of the gate and its ledger. */
  readonly name: string;
  /** The folder for keys and ledgers. Without it the usual one, as for commands: `PORTCULLIS_HOME` or the state folder of the user. */
  readonly home?: string;
  /** What an operator should read. Standard error when absent. */
  readonly onNote?: (text: string) => void;
}

export interface ProgramGate {
  /**
   * Resolves when it is known of every server whether it is there and fits the rules, or after 15 seconds. Rejects with a CommandError when no call can be
   * decided then. Functions are to be governed before.
   */
  ready(): Promise<void>;
  /** The folder of the ledger. */
  readonly ledger: string;
  /** For `govern`. */
  readonly inProcess: ToolGate;
  /** As `portcullis revoke`, for this gate alone: resolves with the number of calls that were stopped by it. Rejects for what cannot be revoked. */
  revoke(what: Revocable, id: string): Promise<number>;
  /** Stops what runs and refuses what comes, until `resume`, in later runs too. */
  halt(reason: string): Promise<number>;
  resume(): Promise<void>;
  /** Cancels what runs, records how it ended and lets go of everything. Calls are refused from its beginning on. */
  close(): Promise<void>;
}

/** Opens a gate. Throws a CommandError that says what is wrong with the configuration or the ledger. */
export async function openGate(options: OpenOptions): Promise<ProgramGate> {
  const { name, onNote } = options;
  const home = findHome(options.home === undefined ? process.env : { PORTCULLIS_HOME: options.home });
  const configuration = configurationOf(options.configuration);
  const { manifest, file } = configuration;
  const tools = new Tools(manifest, name);
  const launches = await Promise.all(
    Object.entries(manifest.servers).map(([server, stated]) => {
      const functions = tools.servers.get(server);
      return functions === undefined ? launchOf(server, stated, dirname(file)) : tools.launchOf(functions, stated);
    }),
  );
  const out = onNote === undefined ? output(false) : { ...output(false), note: onNote };
  const plan = {
    home,
    name,
    configuration,
    launches,
    missingPolicyHint: tools.hints.missingPolicy,
    onJudged: (servers: readonly string[]) => tools.arrivals.judged(servers),
  };
  const { gate, folder } = await keepAlive(openNamedGate(plan, out satisfies Output));
  tools.open(gate);
  return Object.freeze({
    ledger: folder.ledger,
    inProcess: tools,
    ready: async () => {
      await tools.whenReady();
      const { reason } = gate.governance;
      if (reason !== undefined)
        throw new CommandError(`the gate is shut (${reason.code}): ${visibleText(reason.detail)}`);
    },
    revoke: async (what: Revocable, id: string) => {
      if (!isRevocable(what)) throw new CommandError(`"${visibleText(String(what), 40)}" cannot be revoked`);
      return (await gate.revoke(REVOCABLE[what], id)).stopped;
    },
    halt: (reason: string) => gate.haltFor(reason),
    resume: () => gate.resume(),
    close: () => keepAlive(tools.close(gate)),
  });
}

function configurationOf(stated: OpenOptions['configuration']): Configuration {
  if (typeof stated === 'string') return readConfiguration(stated);
  // Every JSON text is a YAML text.
  const source = { file: 'manifest', text: JSON.stringify(stated.manifest, undefined, 2) };
  const parsed = parseManifest(source.text, source.file);
  if (!parsed.ok) throw invalid(source.file, parsed.problems);
  return {
    file: source.file,
    source,
    manifest: parsed.manifest,
    policies: [{ file: 'rules', text: stated.rules }],
  };
}

/** What is in this process: agents, each with the one conversation that it has, and servers whose tools are functions. */
class Tools implements ToolGate {
  readonly servers: ReadonlyMap<string, FunctionServer>;
  readonly hints: OperatorHints = { missingPolicy: 'No rules are installed, so every call is denied.' };
  readonly arrivals: Arrivals;
  readonly #manifest: Manifest;
  readonly #name: string;
  readonly #conversations = new Map<string, Conversation>();
  #gate: RunningGate | undefined;
  #closing: Promise<void> | undefined;

  constructor(manifest: Manifest, name: string) {
    this.#manifest = manifest;
    this.#name = name;
    const names = Object.entries(manifest.servers).flatMap(([name, { inProcess }]) =>
      inProcess === undefined ? [] : [name],
    );
    this.servers = new Map(names.map((name) => [name, new FunctionServer(name)]));
    const since = (name: string): number | undefined => this.servers.get(name)?.providedAt;
    this.arrivals = new Arrivals(Object.keys(manifest.servers), systemClock, since);
  }

  get enforcement(): RunningGate['enforcement'] {
    if (this.#gate === undefined) throw new CommandError('the gate is not open');
    return this.#gate.enforcement;
  }

  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  open(gate: RunningGate): void {
    this.#gate = gate;
  }

  whenReady(): Promise<void> {
    return this.arrivals.all();
  }

  agentOf(server: string): string | undefined {
    return this.#manifest.servers[server]?.agent;
  }

  conversation(agent: string): Conversation {
    const known = this.#conversations.get(agent);
    if (known !== undefined) return known;
    const principal = localPrincipal(this.#manifest, agent);
    const conversation = new Conversation(this.enforcement, { principal, view: { kind: 'all' }, onNotice: () => {} });
    this.#conversations.set(agent, conversation);
    return conversation;
  }

  launchOf(server: FunctionServer, stated: Manifest['servers'][string]): ServerLaunch {
    const { limits: all, onPolicyChange, retryAfterUnknown } = stated;
    const { concurrency, idleTimeoutMs, timeoutMs, outputBytes } = all;
    return {
      name: server.name,
      limits: { timeoutMs, outputBytes },
      concurrency,
      idleTimeoutMs,
      onPolicyChange,
      retryAfterUnknown,
      description: { inProcess: true, program: this.#name },
      ownProgram: true,
      start: () => server,
      callee: () => {
        const { agent } = server;
        if (agent === undefined) return undefined;
        return { agent, cnf: { conn: this.conversation(agent).principal.connection } };
      },
    };
  }

  close(gate: RunningGate): Promise<void> {
    this.arrivals.close();
    this.#closing ??= (async () => {
      await Promise.all([...this.#conversations.values()].map((conversation) => conversation.close('shutdown')));
      await gate.close();
    })();
    return this.#closing;
  }
}
