// portcullis gate: the one gate that clients share which are configured one by one (portcullis wrap). It is started by the first of them, and ends when
// nobody has needed it for a while. There is one at a time: who finds another one leaves.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import {
  GATE_SOCKET,
  type MeetingPoint,
  meet,
  openMeetingPoint,
  type Visitor,
} from '../../adapters/control/meeting-point.ts';
import { connectTo, NobodyThere } from '../../adapters/control/socket-address.ts';
import { type StdioFront, serveStdio } from '../../adapters/downstream/stdio.ts';
import type { DecidingThread } from '../../adapters/policy-engine/deciding-thread.ts';
import { acquireFileLock, type FileLock } from '../../adapters/storage/file-lock.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { ClientSession } from '../../proxy/client-port.ts';
import { HTTP_STREAM_BUFFER_BYTES_MAX } from '../../proxy/limits.ts';
import { type Configuration, isStill } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { findHome, type Home, SHARED_GATE } from '../home.ts';
import { localPrincipal } from '../identity.ts';
import { joiningOf } from '../joining.ts';
import { loadConfiguration, onStop, openGate } from '../open-gate.ts';
import { CommandError, type Output, reasonOf } from '../output.ts';
import { sameFile } from '../own-build.ts';
import type { RunningGate } from '../running-gate.ts';
import { type SharedServers, sharedServers } from '../shared-servers.ts';
import { wrappedServer } from '../wrapped-server.ts';

export interface GateCommandOptions {
  /** The server that is needed first. */
  readonly for?: string;
  readonly idleMs?: string;
  /** Ends the one that runs. */
  readonly stop?: boolean;
}

/** Clients come and go while somebody works. Some of them wait a second for their tools and go on without; starting a gate takes about as long. */
const IDLE_MS = 600_000;
const LOCK_WITHIN_MS = 15_000;
const LOCK_RETRY_MS = 25;

export async function sharedGate(
  options: GateCommandOptions,
  out: Output,
  deciding?: DecidingThread,
  home = findHome(),
): Promise<number> {
  if (options.stop === true) return stopSharedGate(home, out);
  mkdirSync(home.state, { recursive: true, mode: 0o700 });
  const lock = await onlyOne(home);
  if (lock === undefined) return EXIT.ok;
  const idleMs = idleOf(options.idleMs);
  const waiting: Visitor[] = [];
  let receive = (visitor: Visitor): void => void waiting.push(visitor);
  let stop = (): void => {
    wasStopped = true;
  };
  let wasStopped = false;
  // Whoever ends it while it opens is obeyed as soon as there is something to close.
  onStop(() => stop());
  const point = await openMeetingPoint(home.state, (visitor) => receive(visitor));
  try {
    const shared = await SharedGate.open({ home, lock, point, idleMs, first: options.for, deciding }, out);
    receive = (visitor) => void shared.receive(visitor);
    for (const visitor of waiting) receive(visitor);
    stop = () => shared.stop();
    if (wasStopped) stop();
    await shared.ended;
    return EXIT.ok;
  } catch (error) {
    // Whoever waits hears why, and not only the log of a process that he does not see.
    receive = (visitor) => visitor.answer(refusal(error), 'last');
    for (const visitor of waiting) receive(visitor);
    throw error;
  } finally {
    point.close();
    lock.release();
  }
}

function idleOf(text: string | undefined): number {
  if (text === undefined) return IDLE_MS;
  if (!/^\d{1,8}$/.test(text)) throw new CommandError(`--idle-ms ${text} is not a number of milliseconds`, EXIT.usage);
  return Number(text);
}

/** Resolves when it has ended. Clients that are there see their conversation end. */
async function stopSharedGate(home: Home, out: Output): Promise<number> {
  try {
    const { said, socket } = await meet(home.state, { stop: true });
    if (said.stopping !== true) throw new CommandError(String(said.error));
    await once(socket.resume().end(), 'close');
    out.line('the shared gate has ended');
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof NobodyThere)) throw error;
    out.line('no shared gate runs');
    return EXIT.ok;
  }
}

/** One that is about to end holds the lock until its ledger is closed: it is waited for, unless somebody can be met there. */
async function onlyOne(home: Home): Promise<FileLock | undefined> {
  for (let waitedMs = 0; waitedMs < LOCK_WITHIN_MS; waitedMs += LOCK_RETRY_MS) {
    const taken = acquireFileLock(`${home.state}/gate.lock`);
    if (taken.ok) return taken.lock;
    if (taken.reason === 'unsupported') throw new CommandError(taken.detail, EXIT.gateShut);
    if (await isThere(home)) return undefined;
    await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
  }
  return undefined;
}

async function isThere(home: Home): Promise<boolean> {
  try {
    (await connectTo(home.state, GATE_SOCKET)).destroy();
    return true;
  } catch (error) {
    if (error instanceof NobodyThere) return false;
    throw error;
  }
}

interface SharedGatePlan {
  readonly home: Home;
  readonly lock: FileLock;
  readonly point: MeetingPoint;
  readonly idleMs: number;
  readonly first: string | undefined;
  readonly deciding: DecidingThread | undefined;
}

class SharedGate {
  readonly ended: Promise<void>;
  readonly #plan: SharedGatePlan;
  readonly #configuration: Configuration;
  readonly #gate: RunningGate;
  readonly #variables: SharedServers['variables'];
  readonly #isOurProgram = sameFile();
  readonly #conversations = new Set<{ close(): Promise<void> }>();
  /** By what was given to whoever joined, with which he may end his conversation. */
  readonly #joined = new Map<string, StdioFront>();
  #idle: NodeJS.Timeout | undefined;
  /** Nobody comes any more. */
  #retired = false;
  #stopping = false;
  #end: () => void = () => {};

  static async open(plan: SharedGatePlan, out: Output): Promise<SharedGate> {
    const configuration = loadConfiguration(plan.home, undefined);
    if (configuration === undefined)
      throw new CommandError(`there is no ${plan.home.config}/portcullis.yaml`, EXIT.usage);
    const { launches, variables } = await sharedServers(configuration);
    // What is needed first starts before anybody has come, for whoever started us.
    if (plan.first !== undefined) variables.get(plan.first)?.take(process.env);
    const { gate, folder } = await openGate(
      {
        home: plan.home,
        name: SHARED_GATE,
        configuration,
        launches,
        wanted: plan.first === undefined ? [] : [plan.first],
        missingPolicyHint: `No policy is installed, so every call is denied. Edit ${configuration.file} and run: portcullis policy check`,
        deciding: plan.deciding,
      },
      out,
    );
    out.note(`ledger ${folder.ledger}`);
    return new SharedGate(plan, configuration, gate, variables);
  }

  private constructor(
    plan: SharedGatePlan,
    configuration: Configuration,
    gate: RunningGate,
    variables: SharedServers['variables'],
  ) {
    this.#plan = plan;
    this.#configuration = configuration;
    this.#gate = gate;
    this.#variables = variables;
    this.ended = new Promise<void>((resolve) => {
      this.#end = resolve;
    }).then(() => gate.close());
    this.#rest();
  }

  /** Never rejects. */
  async receive(visitor: Visitor): Promise<void> {
    clearTimeout(this.#idle);
    try {
      await this.#welcome(visitor);
    } catch (error) {
      visitor.answer(refusal(error), 'last');
    }
    this.#rest();
  }

  /** Ends every conversation and the gate. */
  stop(): void {
    this.#stopping = true;
    // The process goes when nothing is left to wait for.
    clearTimeout(this.#idle);
    this.#retire();
    void Promise.all([...this.#conversations].map((one) => one.close())).then(() => this.#end());
  }

  async #welcome(visitor: Visitor): Promise<void> {
    if (visitor.request.stop === true) {
      visitor.answer({ stopping: true });
      void this.ended.then(() => visitor.socket.destroy());
      return this.stop();
    }
    const { leave } = visitor.request;
    if (typeof leave === 'string') {
      await this.#joined.get(leave)?.close();
      return visitor.answer({ left: true }, 'last');
    }
    const joining = joiningOf(visitor.request);
    // The rules, the servers and the program of a gate are those that it began with. Whoever comes after they were changed gets a gate that has read them.
    if (!isStill(this.#configuration) || !this.#isOurProgram()) this.#retire();
    if (this.#retired) return visitor.answer({ again: true }, 'last');
    const { name, server } = wrappedServer(joining.name, joining.line, this.#configuration);
    const variables = this.#variables.get(name);
    if (server === undefined || variables === undefined) return visitor.answer({ alone: true }, 'last');
    const principal = localPrincipal(this.#configuration.manifest, joining.agent);
    if (!variables.take(joining.environment)) return visitor.answer({ alone: true }, 'last');
    // Counts as somebody who is there, so that the gate does not end meanwhile.
    const coming = { close: async () => {} };
    this.#conversations.add(coming);
    try {
      await this.#gate.want(name);
    } finally {
      this.#conversations.delete(coming);
    }
    if (visitor.socket.destroyed) return;
    if (this.#stopping) return visitor.answer({ again: true }, 'last');
    const session = this.#gate.sessions.open({ principal }, { kind: 'server', server: name }, 'ahead');
    if ('code' in session) throw new CommandError(`the gate does not serve ${name}: ${session.code}`, EXIT.gateShut);
    const joined = randomBytes(16).toString('base64url');
    visitor.answer({ joined, notes: this.#notesOf(name) });
    this.#converse(visitor.socket, session, joined);
  }

  #converse(socket: Socket, session: ClientSession, joined: string): void {
    const front = serveStdio({ session, input: socket, output: socket, outputBytesMax: HTTP_STREAM_BUFFER_BYTES_MAX });
    // Nothing was read of it since its first line.
    socket.resume();
    this.#conversations.add(front);
    this.#joined.set(joined, front);
    void front.ended.then(() => {
      this.#joined.delete(joined);
      socket.end();
      socket.resume();
      this.#conversations.delete(front);
      this.#rest();
    });
  }

  /** What keeps a client from finding anything, said to whoever looks for the reason where his client keeps what its servers say. */
  #notesOf(name: string): readonly string[] {
    const aside = this.#gate.quarantined().find(({ kind, id }) => kind === 'server' && id === name);
    if (aside !== undefined) {
      const verb = aside.code === 'SERVER_UNAPPROVED' ? 'approve' : 'diff';
      return [`server ${name}: ${aside.reason}. Next: ${this.#gate.command(verb, name)}`];
    }
    const shut = this.#gate.governance.reason;
    return shut === undefined ? [] : [`the gate is shut (${shut.code}): ${shut.detail}`];
  }

  /** With nobody there the gate ends after a while. */
  #rest(): void {
    clearTimeout(this.#idle);
    if (this.#conversations.size > 0) return;
    if (this.#retired) return this.#end();
    this.#idle = setTimeout(() => this.stop(), this.#plan.idleMs);
  }

  /** Another gate may start beside this one, with a ledger of its own, while the last conversations here go on. */
  #retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#plan.point.close();
    if (this.#conversations.size > 0) this.#plan.lock.release();
  }
}

function refusal(error: unknown): JsonObject {
  return error instanceof CommandError
    ? { error: error.message, hints: [...error.hints], exit: error.exit }
    : { error: reasonOf(error), hints: [], exit: EXIT.error };
}
