// The deciding side as the gate sees it: a thread that is asked, watched and replaced. Every fault of it is a denial. While there is no
// healthy thread everything is denied; a new thread serves only after its canaries answered.

import type { Authorization, AuthorizationRequest } from '../../control-plane/authorization.ts';
import type { Manifest } from '../../control-plane/policy/manifest.ts';
import type { PolicySource } from '../../control-plane/policy/source.ts';
import { actionId, TOOL_METHOD } from '../../domain/action.ts';
import type { Denial, DenialCode } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Authority, InstallResult } from '../../proxy/ports.ts';
import { SchemaGuard } from '../json-schema/schema-guard.ts';
import { toolSchemas } from '../json-schema/tool-schemas.ts';
import { DecidingThread, type Started, type ThreadFile } from './deciding-thread.ts';
import type { AuthoritySetup } from './messages.ts';

export interface AuthorityOptions {
  /** PEM file (PKCS 8) of the Ed25519 private key for permits. Read by the deciding thread alone. */
  readonly keyFile: string;
  readonly instance: string;
  readonly gateway: string;
  /** Called when the deciding side becomes healthy or stops being so. */
  readonly onHealth?: (health: AuthorityHealth) => void;
  /** Silence after which the thread is given up. */
  readonly deadlineMs?: number;
  readonly startMs?: number;
  /** A thread that is loading already, for the first policy. */
  readonly warm?: DecidingThread | undefined;
  /** Who checks values against the schemas of tools; for tests. */
  readonly schemas?: SchemaGuard;
  /** Another file to run as the deciding thread; for tests. */
  readonly thread?: ThreadFile;
}

/** What a thread is told to serve. */
type Installed = Pick<AuthoritySetup, 'source' | 'manifest'>;

type Ready = (digest: Digest) => Promise<void>;

export type AuthorityHealth = { readonly state: 'ready' } | { readonly state: 'degraded'; readonly reason: string };

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 10_000;

export class WorkerAuthority implements Authority {
  readonly #options: AuthorityOptions;
  readonly #schemas: SchemaGuard;
  /** Of what the thread decides by. */
  #digest: Digest | undefined;
  #thread: DecidingThread | undefined;
  /** The one that is to take over, while it starts. */
  #next: DecidingThread | undefined;
  /** The source in force: what a new thread is started with. */
  #source: Installed | undefined;
  /** Why everything is denied while there is no thread. */
  #without: DenialCode = 'GOV_POLICY_MISSING';
  #installing: Promise<unknown> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: AuthorityOptions) {
    this.#options = options;
    this.#schemas = options.schemas ?? new SchemaGuard();
  }

  async authorize(request: AuthorizationRequest): Promise<Authorization> {
    const thread = this.#thread;
    const policy = this.#digest;
    if (thread === undefined || policy === undefined) return { decision: 'deny', code: this.#without, by: [] };
    const { method, server, tool, argumentsJson } = request;
    const action = actionId(method, server, tool);
    // Arguments that could hold up decisions are checked beside them: both are known when either counts.
    const checked = method === TOOL_METHOD && this.#schemas.holdsUp(action, argumentsJson.length);
    const fit = checked ? this.#schemas.check('input', action, argumentsJson) : undefined;
    const answer = await thread.ask({ kind: 'authorize', request, checked });
    const unfit = await fit;
    if (answer?.kind !== 'authorize') return { decision: 'deny', code: 'POLICY_ENGINE_FAULT', by: [] };
    return unfit === undefined ? answer.authorization : { decision: 'deny', by: [], policy, ...unfit };
  }

  async visible(principal: Principal): Promise<ReadonlySet<string>> {
    const answer = await this.#thread?.ask({ kind: 'visible', principal });
    return new Set(answer?.kind === 'visible' ? answer.tools : []);
  }

  async checkOutput(server: string, tool: string, structuredJson: string): Promise<Denial | undefined> {
    return this.#schemas.check('output', actionId(TOOL_METHOD, server, tool), structuredJson);
  }

  /** Starts a thread with the new source; only when it is ready does it take over. The old one answers what it was asked. */
  install(source: PolicySource, manifest?: Manifest, ready?: Ready): Promise<InstallResult> {
    const result = this.#installing.then(() => this.#install({ source, manifest }, ready));
    // What went wrong is for whoever asked; the next one begins afresh.
    this.#installing = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#without = 'POLICY_ENGINE_FAULT';
    const thread = this.#thread;
    this.#thread = undefined;
    await Promise.all([thread?.close(), this.#next?.close(), this.#options.warm?.close(), this.#schemas.close()]);
    await this.#installing;
  }

  async #install(installed: Installed, ready?: Ready): Promise<InstallResult> {
    const started = await this.#start(installed, ready);
    switch (started.outcome) {
      case 'ready':
        return { ok: true, digest: started.digest };
      case 'refused':
        if (this.#source === undefined && !this.#closed) this.#without = 'GOV_POLICY_INVALID';
        return { ok: false, problems: started.problems };
      case 'failed': {
        if (this.#source === undefined) this.#without = 'POLICY_ENGINE_FAULT';
        const message = `the policy engine did not start: ${started.reason}`;
        return {
          ok: false,
          fault: true,
          problems: [{ file: installed.source.manifest.file, line: 1, column: 1, path: '', message }],
        };
      }
    }
  }

  async #start(installed: Installed, ready?: Ready): Promise<Started> {
    if (this.#closed) return { outcome: 'failed', reason: 'closed' };
    const { keyFile, instance, gateway, warm } = this.#options;
    let thread: DecidingThread;
    try {
      thread = warm?.idle === true ? warm : this.#load();
      thread.begin({ ...installed, keyFile, instance, gateway }, (reason) => this.#faulted(thread, reason));
    } catch (error) {
      return { outcome: 'failed', reason: error instanceof Error ? error.message : 'no thread' };
    }
    this.#next = thread;
    const started = await thread.started;
    if (started.outcome === 'ready') {
      try {
        await ready?.(started.digest);
      } catch (refused) {
        this.#next = undefined;
        await thread.close();
        throw refused;
      }
    }
    this.#next = undefined;
    if (started.outcome !== 'ready') return started;
    if (!thread.alive) return { outcome: 'failed', reason: 'the thread ended as soon as it was ready' };
    if (this.#closed) {
      await thread.close();
      return { outcome: 'failed', reason: 'closed' };
    }
    clearTimeout(this.#retry);
    this.#thread?.retire();
    this.#schemas.serve(toolSchemas(installed.source));
    this.#thread = thread;
    this.#digest = started.digest;
    this.#source = installed;
    this.#options.onHealth?.({ state: 'ready' });
    return started;
  }

  #load(): DecidingThread {
    const { deadlineMs, startMs, thread } = this.#options;
    const limits = {
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      ...(startMs === undefined ? {} : { startMs }),
    };
    return new DecidingThread(limits, thread);
  }

  #faulted(thread: DecidingThread, reason: string): void {
    if (this.#thread !== thread || this.#closed) return;
    this.#thread = undefined;
    this.#without = 'POLICY_ENGINE_FAULT';
    this.#options.onHealth?.({ state: 'degraded', reason });
    this.#respawn(RETRY_MS_MIN);
  }

  /** Starts the source in force again, after an installation that may be under way; tries for as long as it takes. */
  #respawn(retryMs: number): void {
    this.#installing = this.#installing.then(async () => {
      const source = this.#source;
      if (this.#thread !== undefined || this.#closed || source === undefined) return;
      const started = await this.#start(source);
      if (started.outcome === 'ready' || this.#closed) return;
      this.#retry = setTimeout(() => this.#respawn(Math.min(retryMs * 2, RETRY_MS_MAX)), retryMs);
      this.#retry.unref();
    });
  }
}
