// A tool server as the gate sees it: one conversation at a time, begun again on demand after it ended, later each time it fails.
// It never repeats a call.

import { type Denial, deny } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import type { JsonObject } from '../../domain/json.ts';
import type {
  Asking,
  CallHooks,
  Dispatch,
  Notice,
  OfferKind,
  OwnProcess,
  Question,
  ServerChange,
  ServerDescription,
  ToolRun,
  ToolServer,
} from '../../proxy/tool-server.ts';
import { Session, type SessionOptions } from './legacy/session.ts';
import type { UpstreamLimits } from './limits.ts';
import type { DroppedCounts, OpenPipe, RefusedRequest, UpstreamSession, WhenIgnored } from './ports.ts';
import { ResourceHolders } from './resource-holders.ts';

/** The first failure may be an accident; from the second in a row on we wait, doubling. */
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 30_000;
/** A conversation that held this long was no failure. */
const STEADY_MS = 60_000;

export interface ConnectionListener {
  /** The server asked us for something (sampling, elicitation, roots, anything) and was refused. */
  onRefusedRequest?(request: RefusedRequest): void;
  /** What the operator has to do so that the server lets us in. */
  onAuthorization?(detail: string): void;
  /** The conversation ended, and why. */
  onEnded?(detail: string): void;
  /** A call that was cancelled was not answered within the grace. `ending`: so the peer is ended. */
  onCancelIgnored?(ending: boolean): void;
}

export interface ConnectionOptions {
  readonly name: string;
  readonly open: OpenPipe;
  readonly clientInfo: JsonObject;
  readonly limits: UpstreamLimits;
  readonly listener: ConnectionListener;
  /** Opens the pipe and speaks on it; throws what the pipe throws. The revisions up to 2025-11-25 when absent. */
  readonly begin?: (options: SessionOptions) => UpstreamSession;
  /** Makes ready what a conversation needs before it begins. Its failure is nobody's fault and is not waited out here. */
  readonly prepare?: (signal: AbortSignal) => Promise<void>;
  /** The peer has said what it offers, and nobody was told. Rejects where it must not be believed: it has ended the pipe then. */
  readonly confirm?: () => Promise<void>;
  /** Stopped: nothing that `prepare` began may be left. */
  readonly onStopped?: () => void;
  /** What no message of the server may repeat. */
  readonly secrets?: SessionOptions['secrets'];
  /** Why it cannot be called, where that is more than that it is not there. */
  readonly fault?: () => Denial | undefined;
  /** Pins of the keys that it has shown. */
  readonly tlsKeys?: () => readonly Digest[];
  /** The process at the other end, where it is one that calls back. */
  readonly process?: () => OwnProcess | undefined;
  /** `withhold` when absent. */
  readonly whenIgnored?: WhenIgnored;
  /** Monotonic. */
  readonly nowMs?: () => number;
}

export class Connection implements ToolServer {
  readonly name: string;
  readonly #options: ConnectionOptions;
  readonly #nowMs: () => number;
  readonly #listeners: ((change: ServerChange) => void)[] = [];
  readonly #noticeListeners: ((notice: Notice) => void)[] = [];
  #asked: (question: Question) => Asking | undefined = () => undefined;
  #session: UpstreamSession | undefined;
  #confirmed = false;
  #holders = new ResourceHolders();
  #starting: Promise<ServerDescription> | undefined;
  #ended: Promise<void> = Promise.resolve();
  #preparing: AbortController | undefined;
  #stops = 0;
  #failures = 0;
  #notBeforeMs = 0;
  #lastDetail = '';

  constructor(options: ConnectionOptions) {
    this.name = options.name;
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  get description(): ServerDescription | undefined {
    return this.#confirmed ? this.#session?.description : undefined;
  }

  get process(): OwnProcess | undefined {
    return this.description === undefined ? undefined : this.#options.process?.();
  }

  get fault(): Denial | undefined {
    return this.description === undefined ? this.#options.fault?.() : undefined;
  }

  get tlsKeys(): readonly Digest[] {
    return this.#options.tlsKeys?.() ?? [];
  }

  /** What the present conversation dropped so far. */
  get dropped(): Readonly<DroppedCounts> | undefined {
    return this.#session?.dropped;
  }

  onChange(listener: (change: ServerChange) => void): void {
    this.#listeners.push(listener);
  }

  onQuestion(listener: (question: Question) => Asking | undefined): void {
    this.#asked = listener;
  }

  tell(notice: Notice): void {
    if (this.#confirmed) this.#session?.tell?.(notice);
  }

  onNotice(listener: (notice: Notice) => void): void {
    this.#noticeListeners.push(listener);
  }

  get freshForMs(): number | undefined {
    return this.#confirmed ? this.#session?.freshForMs : undefined;
  }

  async relist(): Promise<void> {
    if (this.#confirmed) await this.#session?.relist();
  }

  list(kind: OfferKind): Promise<readonly JsonObject[]> {
    return (
      (this.#confirmed ? this.#session : undefined)?.offers(kind) ??
      Promise.reject(this.#explained('it is not connected'))
    );
  }

  start(): Promise<ServerDescription> {
    const { description } = this;
    if (description !== undefined) return Promise.resolve(description);
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  dispatch(dispatch: Dispatch, hooks: CallHooks): ToolRun {
    const session = this.#confirmed ? this.#session : undefined;
    if (session !== undefined) return this.#holders.dispatch(dispatch, () => session.dispatch(dispatch, hooks));
    const { code, detail = '' } = this.fault ?? deny('SERVER_UNAVAILABLE', 'the server is not connected');
    return {
      answer: Promise.resolve({ kind: 'refused', code, detail }),
      cancel: () => undefined,
    };
  }

  async stop(): Promise<void> {
    this.#stops++;
    this.#preparing?.abort();
    await this.#session?.close();
    await this.#starting?.catch(() => undefined);
    await this.#ended;
    this.#options.onStopped?.();
    // What was asked for is not a failure, and the next start need not wait.
    this.#failures = 0;
    this.#notBeforeMs = 0;
  }

  async #start(): Promise<ServerDescription> {
    const stops = this.#stops;
    await this.#ended;
    if (stops !== this.#stops) throw this.#explained('it was stopped');
    const waitMs = Math.ceil(this.#notBeforeMs - this.#nowMs());
    if (waitMs > 0) {
      throw this.#explained(
        `it failed ${this.#failures} times in a row, last because ${this.#lastDetail}; it can be tried again in ${waitMs} ms`,
      );
    }
    await this.#prepare();
    if (stops !== this.#stops) throw this.#explained('it was stopped');
    const startedMs = this.#nowMs();
    const begin = this.#options.begin ?? ((options: SessionOptions) => new Session(options));
    let session: UpstreamSession | undefined;
    let hasEnded: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      hasEnded = resolve;
    });
    let wasUp = false;
    let byUs = false;
    try {
      session = begin({
        name: this.name,
        open: this.#options.open,
        clientInfo: this.#options.clientInfo,
        limits: this.#options.limits,
        ...(this.#options.secrets === undefined ? {} : { secrets: this.#options.secrets }),
        nowMs: this.#nowMs,
        onTools: () => {
          if (this.#confirmed) this.#tell('tools');
        },
        onNotice: (notice) => {
          if (!this.#confirmed) return;
          for (const listener of this.#noticeListeners) listener(notice);
        },
        onQuestion: (question) => (this.#confirmed ? this.#asked(question) : undefined),
        onRefusedRequest: (request) => this.#options.listener.onRefusedRequest?.(request),
        whenIgnored: this.#options.whenIgnored ?? 'withhold',
        onCancelIgnored: (ending) => {
          byUs ||= ending;
          this.#options.listener.onCancelIgnored?.(ending);
        },
        onClosed: (detail) => {
          this.#session = undefined;
          this.#confirmed = false;
          this.#holders = new ResourceHolders();
          // Whoever cancels a call must not be able to keep others from the server.
          if (wasUp && !byUs) this.#failed(detail, startedMs);
          hasEnded();
          this.#options.listener.onEnded?.(detail);
          if (wasUp) this.#tell('down');
        },
      });
      this.#session = session;
      this.#ended = ended;
      await session.start();
      await this.#options.confirm?.();
      // What it said last: its tools may have changed while it was looked at. Gone meanwhile, it was never there.
      const { description } = session;
      if (description === undefined || this.#session !== session) throw new Error('it ended while it was looked at');
      this.#confirmed = true;
      wasUp = true;
      this.#tell('up');
      return description;
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      this.#failed(detail, startedMs);
      // A start has failed only when nothing of it is left.
      if (session !== undefined) await ended;
      throw this.#explained(detail, error);
    }
  }

  async #prepare(): Promise<void> {
    if (this.#options.prepare === undefined) return;
    this.#preparing = new AbortController();
    try {
      await this.#options.prepare(this.#preparing.signal);
    } catch (error) {
      throw this.#explained(error instanceof Error ? error.message : String(error));
    } finally {
      this.#preparing = undefined;
    }
  }

  #failed(detail: string, startedMs: number): void {
    const now = this.#nowMs();
    this.#failures = now - startedMs >= STEADY_MS ? 1 : this.#failures + 1;
    this.#lastDetail = detail;
    const delayMs = this.#failures < 2 ? 0 : Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (this.#failures - 2));
    this.#notBeforeMs = now + delayMs;
  }

  #explained(detail: string, cause?: unknown): Error {
    return new Error(`the server ${this.name} is not available: ${detail}`, { cause });
  }

  #tell(change: ServerChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
