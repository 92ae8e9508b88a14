// The tool servers of a gate, kept running: started, described, started again with back-off when they end. A call is never sent a second time;
// that is the adapters' promise, and nothing here holds a call.

import type { RefusedRequest } from '../adapters/upstream/ports.ts';
import type { MachineMeans } from '../adapters/upstream/stdio/launch-plan.ts';
import { findMachineMeans } from '../adapters/upstream/stdio/machine-means.ts';
import type { EndedProcess } from '../adapters/upstream/stdio/process-pipe.ts';
import { killMarked } from '../adapters/upstream/stdio/stray-processes.ts';
import type { Likeness } from '../proxy/catalogue.ts';
import type { ApartServer } from '../proxy/server-pool.ts';
import { type Asking, type Notice, OFFERS_CHANGED, type Question, type ToolServer } from '../proxy/tool-server.ts';
import { type LiveDefinition, readLive, toolsAlone } from './live-definition.ts';
import { reasonOf } from './output.ts';
import type { Relisted } from './relisting.ts';
import type { Remembered } from './remembered-descriptions.ts';
import type { ServerLaunch, ServerSurroundings } from './servers.ts';
import { StderrNotes } from './stderr-notes.ts';

/** It started, or it runs and said that something of it changed. */
export type Described = 'started' | 'changed';

export interface SupervisionHooks extends Pick<ServerSurroundings, 'credentials' | 'consent'> {
  readonly version: string;
  /** Names this gate, and the same one after it was started again, to those who look for processes that it left behind. */
  readonly gate: string;
  readonly note: (text: string) => void;
  /** A server said what it offers. Rejects when that could not be recorded; it is then told again. */
  readonly onDescribed: (launch: ServerLaunch, live: LiveDefinition, when: Described) => Promise<void>;
  /** The same of one that was asked again and said nothing of a change. */
  readonly onRelisted: (launch: ServerLaunch, live: LiveDefinition) => Promise<void>;
  /** How a server of which every conversation gets its own compares with what was pinned. */
  readonly compare: (launch: ServerLaunch, live: LiveDefinition) => Likeness;
  /** How a server of which every conversation gets its own introduces itself, where that need not be asked. Never rejects. */
  readonly remembered?: (launch: ServerLaunch) => Promise<Remembered | undefined>;
  /** It was asked, and that is recorded. */
  readonly onAsked?: (launch: ServerLaunch, asked: Remembered) => void;
  readonly onUnavailable: (server: string, reason: string) => void;
  /** Why a server is not started at all: this machine lacks what it demands. */
  readonly lacks?: (server: string) => string | undefined;
  readonly sandbox?: (server: string) => ServerSurroundings['sandbox'];
  /** A process was started for a server, in this tick. */
  readonly onProcess?: (pid: number) => void;
  /** A server said something that belongs to no call. */
  readonly onNotice: (server: string, notice: Notice) => void;
  /** What a shared server asks within no call. */
  readonly onQuestion: (server: string, question: Question) => Asking | undefined;
  /** A shared server ended by itself. */
  readonly onEnded?: (server: string) => void;
  /** A shared server can take calls, for the first time or again. */
  readonly onReady: (server: string) => void;
  /** A server's process went without being asked. */
  readonly onProcessEnded: (server: string, ended: EndedProcess) => void;
  /** A server asked the client side for something and was refused. */
  readonly onRefusedRequest: (server: string, request: RefusedRequest) => void;
  /** Takes on the processes of a server that is an agent and calls back. */
  readonly adopt?: (server: string) => ServerSurroundings['adopt'];
  readonly guard?: (server: string) => ServerSurroundings['guard'];
}

/** Waiting longer for slow servers would let clients give up on the conversation. */
const DESCRIBED_WITHIN_MS = 15_000;
/** As long as a client waits for a first start; a call that waits has a deadline of its own. */
const RETURNED_WITHIN_MS = DESCRIBED_WITHIN_MS;
const RESTART_FIRST_MS = 500;
const RESTART_MAX_MS = 30_000;

export class SupervisedServers {
  readonly #launches: readonly ServerLaunch[];
  readonly #hooks: SupervisionHooks;
  readonly #servers = new Map<string, ToolServer>();
  /** Those of which every conversation gets its own. The first of each is asked what it offers, and stopped: no client speaks with it. */
  readonly #apart = new Map<string, ApartServer>();
  readonly #asked = new Map<string, Remembered>();
  /** Those that may run. */
  readonly #begun = new Set<string>();
  readonly #described = new Set<string>();
  /** Those that could not be started, or not yet. */
  readonly #missing = new Set<string>();
  /** Shared servers that came back and are not compared yet, by the time that they did: they take no calls, which wait. */
  readonly #unseen = new Map<string, object>();
  readonly #relisted = new Map<string, Relisted>();
  /** Shared servers that we ended and start again. */
  readonly #returning = new Map<string, { readonly promise: Promise<void>; readonly resolve: () => void }>();
  /** Settles when clients have waited long enough, counted from the start and not from each request. */
  #late: Promise<void> = Promise.resolve();
  #waited: Promise<void> | undefined;
  /** Found out once, for the first server that is a process. */
  #means: Promise<MachineMeans> | undefined;
  #stopped = false;

  constructor(launches: readonly ServerLaunch[], hooks: SupervisionHooks) {
    this.#launches = launches;
    this.#hooks = hooks;
  }

  /** The server that all share; undefined where each conversation gets its own. */
  get(name: string): ToolServer | undefined {
    return this.#apart.has(name) || this.#unseen.has(name) ? undefined : this.#servers.get(name);
  }

  apart(name: string): ApartServer | undefined {
    return this.#apart.get(name);
  }

  /** Pending while a shared server that was ended by us is started again, for a bounded time. */
  returning(name: string): Promise<void> | undefined {
    return this.#returning.get(name)?.promise;
  }

  start(): void {
    this.#late = new Promise((resolve) => {
      setTimeout(() => {
        this.#tellLate();
        resolve();
      }, DESCRIBED_WITHIN_MS).unref();
    });
  }

  /** It was to start and is not there. */
  isMissing(name: string): boolean {
    return this.#missing.has(name) && !this.#described.has(name);
  }

  /** Starts a server; one that runs is started anew, and says again what it is. */
  begin(name: string): void {
    const launch = this.#launches.find((one) => one.name === name);
    if (launch === undefined || this.#stopped) return;
    this.#missing.delete(name);
    const lacking = this.#hooks.lacks?.(name);
    if (lacking !== undefined) {
      this.#missing.add(name);
      this.#hooks.note(`server ${name} stays shut: ${lacking}`);
      return this.#hooks.onUnavailable(name, lacking);
    }
    const known = this.#servers.get(name);
    this.#begun.add(name);
    this.#described.delete(name);
    this.#asked.delete(name);
    this.#unseen.delete(name);
    if (known === undefined) return this.#first(launch, this.#make(launch));
    void known.stop().then(() => this.#bringOrAsk(launch, known));
  }

  /** Stops a server, which is not started again before it is to begin. */
  end(name: string): void {
    this.#begun.delete(name);
    this.#described.delete(name);
    this.#asked.delete(name);
    this.#unseen.delete(name);
    this.#returned(name);
    void this.#servers.get(name)?.stop();
  }

  #first(launch: ServerLaunch, server: ToolServer): void {
    const { name } = launch;
    this.#servers.set(name, server);
    if (launch.apart !== undefined) this.#apart.set(name, this.#apartOf(launch, server, launch.apart));
    else {
      this.#relisted.set(name, {
        get freshForMs() {
          return server.freshForMs;
        },
        relist: () => this.#relist(launch, server),
      });
      server.onNotice((notice) => {
        if (OFFERS_CHANGED.has(notice.method)) void this.#bring(launch, server, RESTART_FIRST_MS, 'changed');
        this.#hooks.onNotice(name, notice);
      });
      server.onQuestion?.((question) => this.#hooks.onQuestion(name, question));
      server.onChange((change) => {
        if (change === 'up') this.#cameBack(name);
        if (this.#stopped || !this.#begun.has(name) || change === 'up') return;
        if (change === 'down') this.#hooks.onEnded?.(name);
        void this.#bring(launch, server, RESTART_FIRST_MS, change === 'down' ? 'started' : 'changed');
      });
    }
    this.#bringOrAsk(launch, server);
  }

  #bringOrAsk(launch: ServerLaunch, server: ToolServer): void {
    if (!this.#begun.has(launch.name)) return;
    void (launch.apart === undefined
      ? this.#bring(launch, server, RESTART_FIRST_MS)
      : this.#ask(launch, server, RESTART_FIRST_MS));
  }

  /** Those of the shared that run, to be asked again what they are. */
  running(): readonly Relisted[] {
    return [...this.#relisted].flatMap(([name, relisted]) =>
      this.#described.has(name) && this.get(name)?.description !== undefined ? [relisted] : [],
    );
  }

  async #relist(launch: ServerLaunch, server: ToolServer): Promise<void> {
    await server.relist?.();
    if (server.description === undefined) return;
    const live = await readLive(server, launch.description);
    if (this.#begun.has(launch.name)) await this.#hooks.onRelisted(launch, live);
  }

  /** Resolves when the gate is open, or when a client should not be kept waiting any longer. */
  described(opened: Promise<void>): Promise<void> {
    this.#waited ??= Promise.race([opened, this.#late]);
    return this.#waited;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#servers.values()].map((server) => server.stop()));
  }

  #make(launch: ServerLaunch, agent?: string): ToolServer {
    const notes = new StderrNotes(
      (line) => this.#hooks.note(`${launch.name}: ${line}`),
      () => performance.now(),
    );
    return launch.start({
      clientInfo: { name: 'portcullis', version: this.#hooks.version },
      listener: {
        onStderr: (bytes) => notes.heard(bytes),
        onEnded: () => notes.ended(),
        onProcess: (pid) => this.#hooks.onProcess?.(pid),
        onProcessEnded: (ended) => {
          if (!this.#stopped) this.#hooks.onProcessEnded(launch.name, ended);
        },
        onCancelIgnored: (ending) => {
          if (ending && launch.apart === undefined) this.#return(launch.name);
          this.#hooks.note(
            `server ${launch.name}: it goes on with a call that was cancelled${ending ? ' and is ended' : ''}`,
          );
        },
        onRefusedRequest: (request) => this.#hooks.onRefusedRequest(launch.name, request),
        onAuthorization: (detail) => this.#hooks.note(`server ${launch.name}: ${detail}`),
      },
      credentials: this.#hooks.credentials,
      consent: this.#hooks.consent,
      agent,
      gate: this.#hooks.gate,
      means: () => {
        this.#means ??= this.#findMeans();
        return this.#means;
      },
      sandbox: this.#hooks.sandbox?.(launch.name),
      adopt: this.#hooks.adopt?.(launch.name),
      guard: this.#hooks.guard?.(launch.name),
    });
  }

  #return(name: string): void {
    if (this.#returning.has(name)) return;
    let done: () => void = () => undefined;
    const promise = new Promise<void>((settle) => {
      done = settle;
    });
    const timer = setTimeout(() => this.#returned(name), RETURNED_WITHIN_MS);
    timer.unref();
    const resolve = () => {
      clearTimeout(timer);
      done();
    };
    this.#returning.set(name, { promise, resolve });
  }

  /** Nobody knows yet that it is still what it was. */
  #cameBack(name: string): void {
    if (!this.#described.has(name)) return this.#hooks.onReady(name);
    this.#unseen.set(name, {});
    this.#return(name);
  }

  #returned(name: string): void {
    this.#returning.get(name)?.resolve();
    this.#returning.delete(name);
  }

  #apartOf(launch: ServerLaunch, first: ToolServer, by: 'conversation' | 'chain'): ApartServer {
    const described = () => (this.#described.has(launch.name) ? this.#asked.get(launch.name)?.description : undefined);
    return {
      by,
      get description() {
        return described();
      },
      get fault() {
        return first.fault;
      },
      make: (agent) => this.#make(launch, agent),
      compare: (description) => this.#hooks.compare(launch, toolsAlone(description, launch.description)),
      compareWhole: async (server) => this.#hooks.compare(launch, await readLive(server, launch.description)),
    };
  }

  /** Starts a server to be told what it offers, and stops it before anybody gets another one of it. */
  async #ask(launch: ServerLaunch, server: ToolServer, retryMs: number): Promise<void> {
    const { name } = launch;
    try {
      const known = this.#asked.get(name) ?? (await this.#hooks.remembered?.(launch));
      const asked = known ?? (await this.#askOnce(launch, server));
      await server.stop();
      if (!this.#begun.has(name)) return;
      this.#asked.set(name, asked);
      this.#described.add(name);
      await this.#hooks.onDescribed(launch, asked.live, 'started');
      if (known === undefined) this.#hooks.onAsked?.(launch, asked);
    } catch (fault) {
      this.#failed(launch, fault, retryMs, (nextMs) => this.#ask(launch, server, nextMs));
    }
  }

  async #askOnce(launch: ServerLaunch, server: ToolServer) {
    const live = await readLive(server, launch.description);
    return { live, description: server.description ?? (await server.start()) };
  }

  /** Starts a server, or reads again what it offers when it runs, until that is known and recorded. */
  async #bring(launch: ServerLaunch, server: ToolServer, retryMs: number, when: Described = 'started'): Promise<void> {
    try {
      await server.start();
      const cameBack = this.#unseen.get(launch.name);
      const live = await readLive(server, launch.description);
      if (!this.#begun.has(launch.name)) return;
      await this.#hooks.onDescribed(launch, live, when);
      this.#described.add(launch.name);
      // What the process before it said says nothing of this one.
      if (cameBack !== this.#unseen.get(launch.name)) return;
      this.#returned(launch.name);
      if (this.#unseen.delete(launch.name)) this.#hooks.onReady(launch.name);
    } catch (fault) {
      this.#failed(launch, fault, retryMs, (nextMs) => this.#bring(launch, server, nextMs, when));
    }
  }

  #failed({ name }: ServerLaunch, fault: unknown, retryMs: number, again: (retryMs: number) => Promise<void>): void {
    if (this.#stopped || !this.#begun.has(name)) return;
    this.#hooks.note(`server ${name}: ${reasonOf(fault)}`);
    if (!this.#described.has(name)) {
      this.#missing.add(name);
      this.#hooks.onUnavailable(name, reasonOf(fault));
    }
    setTimeout(() => {
      if (!this.#stopped && this.#begun.has(name)) void again(Math.min(retryMs * 2, RESTART_MAX_MS));
    }, retryMs).unref();
  }

  /** Whoever is still silent may come later; until then it counts as not there. */
  #tellLate(): void {
    if (this.#stopped) return;
    for (const { name } of this.#launches) {
      if (this.#described.has(name) || !this.#begun.has(name)) continue;
      this.#hooks.note(`server ${name}: it has not said yet what it offers`);
      this.#hooks.onUnavailable(name, 'it has not said yet what it offers');
    }
  }

  /** Where namespaces do not hold the processes of servers, a gate that was killed may have left some behind. */
  async #findMeans(): Promise<MachineMeans> {
    const means = await findMachineMeans();
    const left = means.enclosure === undefined ? killMarked(`${this.#hooks.gate}.`) : 0;
    if (left > 0) this.#hooks.note(`${left} process(es) of servers were left from the last run and are killed`);
    return means;
  }
}
