// What a connection of 2026-07-28 listens to: one `subscriptions/listen` stream at a time, opened when there is something to hear, opened anew
// when that changes or when it ends. Nothing passes that was not acknowledged first, not asked for, or does not name the stream.

import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import type { Notice, ToolAnswer, ToolRun } from '../../../proxy/tool-server.ts';
import { subscriptionOf, withoutSubscription } from './envelope.ts';
import type { Said } from './open-requests.ts';

/** The way to the server. */
export interface ListenPort {
  /** Asks for what the filter names. Undefined when that could not be sent; else the id of the request, settled when the stream has ended. */
  listen(filter: JsonObject, settle: (answer: ToolAnswer) => void): number | undefined;
  /** Nobody listens to this stream any more. */
  stop(id: number): void;
  onNotice(notice: Notice): void;
  /** While no stream was open, something may have changed. */
  onGap(): void;
  /** Streams end before they are acknowledged: the server may be gone. */
  onDoubt(detail: string): void;
}

export interface ListenTimes {
  readonly acknowledgeMs: number;
  readonly againFirstMs: number;
  readonly againMaxMs: number;
}

export const LISTEN_TIMES: ListenTimes = { acknowledgeMs: 10_000, againFirstMs: 1_000, againMaxMs: 30_000 };

/** Of one connection. A server is told all of them each time one is added. */
const RESOURCES_MAX = 4_096;
/** The tasks seen last; older ones can still be asked for. */
const TASKS_MAX = 256;
const ENDED: readonly Json[] = ['completed', 'failed', 'cancelled'];

interface Stream {
  readonly filter: JsonObject;
  readonly resources: ReadonlySet<string>;
  readonly tasks: ReadonlySet<string>;
  /** Of the resources asked for, those that the server agreed to; undefined before it acknowledged anything. */
  agreed: ReadonlySet<string> | undefined;
}

interface Waiting {
  readonly uri: string;
  readonly settle: (answer: ToolAnswer) => void;
}

const LISTS: Readonly<Record<string, string>> = {
  'notifications/tools/list_changed': 'toolsListChanged',
  'notifications/prompts/list_changed': 'promptsListChanged',
  'notifications/resources/list_changed': 'resourcesListChanged',
};

export class Subscriptions {
  readonly #port: ListenPort;
  readonly #times: ListenTimes;
  readonly #lists: JsonObject;
  readonly #wanted = new Set<string>();
  readonly #tasks = new Set<string>();
  readonly #streams = new Map<number, Stream>();
  readonly #waiting = new Set<Waiting>();
  readonly #firstTry: Promise<void>;
  #settleFirst: () => void = () => undefined;
  #current: number | undefined;
  #opening: number | undefined;
  #acknowledgeTimer: NodeJS.Timeout | undefined;
  #againTimer: NodeJS.Timeout | undefined;
  #scheduled = false;
  /** What is wanted is not what was last asked for. */
  #changed = false;
  #failures = 0;
  #missed = false;
  #closed = false;

  /** `capabilities`: what the server says it tells about. */
  constructor({ tools, prompts, resources }: JsonObject, port: ListenPort, times: ListenTimes = LISTEN_TIMES) {
    this.#port = port;
    this.#times = times;
    const tells = (of: Json | undefined) => of !== undefined && isJsonObject(of) && of.listChanged === true;
    this.#lists = {
      ...(tells(tools) ? { toolsListChanged: true } : {}),
      ...(tells(prompts) ? { promptsListChanged: true } : {}),
      ...(tells(resources) ? { resourcesListChanged: true } : {}),
    };
    this.#firstTry = new Promise((resolve) => {
      this.#settleFirst = resolve;
    });
  }

  /** Listens for changes of lists, if the server tells of any. Resolves when it does so, or when it will not at once. */
  async start(waitMs: number): Promise<void> {
    if (Object.keys(this.#lists).length === 0) return;
    this.#open();
    const timer = setTimeout(this.#settleFirst, waitMs);
    await this.#firstTry;
    clearTimeout(timer);
  }

  /** Answers once the server has agreed to tell about the resource. */
  subscribe(uri: string): ToolRun {
    if (!this.#wanted.has(uri) && this.#wanted.size >= RESOURCES_MAX)
      return settled({ kind: 'refused', code: 'OVERLOADED', detail: 'too many resources are subscribed to' });
    this.#wanted.add(uri);
    const stream = this.#current === undefined ? undefined : this.#streams.get(this.#current);
    if (stream?.agreed?.has(uri) === true) return settled(DONE);
    let settle: (answer: ToolAnswer) => void = () => undefined;
    const answer = new Promise<ToolAnswer>((resolve) => {
      settle = resolve;
    });
    const waiting: Waiting = { uri, settle };
    this.#waiting.add(waiting);
    // Somebody waits now.
    clearTimeout(this.#againTimer);
    this.#againTimer = undefined;
    this.#refresh();
    return {
      answer,
      cancel: () => {
        if (!this.#waiting.delete(waiting)) return;
        this.#unlessAgreed(uri);
        settle({ kind: 'lost', detail: 'cancelled before the server agreed' });
      },
    };
  }

  unsubscribe(uri: string): ToolRun {
    if (this.#wanted.delete(uri)) this.#refresh();
    return settled(DONE);
  }

  /** What nobody waits for and the server has not agreed to is not asked for again. */
  #unlessAgreed(uri: string): void {
    const stream = this.#current === undefined ? undefined : this.#streams.get(this.#current);
    const isWaitedFor = [...this.#waiting].some((waiting) => waiting.uri === uri);
    if (!isWaitedFor && stream?.agreed?.has(uri) !== true && this.#wanted.delete(uri)) this.#refresh();
  }

  /** Answers who waits for a resource: that it is told of, or why not. */
  #settle(waiting: Waiting, answer: ToolAnswer): void {
    if (answer.kind !== 'result') this.#unlessAgreed(waiting.uri);
    waiting.settle(answer);
  }

  /** Hears of a task until it has ended. */
  watch(taskId: string): void {
    if (this.#tasks.has(taskId)) return;
    const [oldest] = this.#tasks;
    if (this.#tasks.size >= TASKS_MAX && oldest !== undefined) this.#tasks.delete(oldest);
    this.#tasks.add(taskId);
    this.#refresh();
  }

  /** A notification that can only be of a subscription. False when it is of none, or not of what was asked for: then nothing hears of it. */
  heard({ method, params, exchange }: Said): boolean {
    const id = subscriptionOf(params);
    if (typeof id !== 'number' || (exchange ?? id) !== id) return false;
    const stream = this.#streams.get(id);
    if (stream === undefined) return false;
    if (method === 'notifications/subscriptions/acknowledged') return this.#acknowledged(id, stream, params);
    if (stream.agreed === undefined || !isWanted(stream, method, params)) return false;
    if (method === 'notifications/tasks' && ENDED.includes(params.status ?? null))
      this.#tasks.delete(String(params.taskId));
    this.#port.onNotice({ method, params: withoutSubscription(params) });
    return true;
  }

  /** The server ended a stream without an answer. */
  cancelled(id: Json | undefined): void {
    if (typeof id === 'number' && this.#streams.has(id)) {
      this.#port.stop(id);
      this.#over(id, 'the server ended the stream');
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#againTimer);
    clearTimeout(this.#acknowledgeTimer);
    for (const waiting of this.#waiting) waiting.settle({ kind: 'lost', detail: 'the connection has ended' });
    this.#waiting.clear();
    this.#settleFirst();
  }

  /** Several wishes of one moment become one request. */
  #refresh(): void {
    this.#changed = true;
    if (this.#scheduled || this.#opening !== undefined || this.#againTimer !== undefined) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#opening === undefined && this.#changed) this.#open();
    });
  }

  #open(): void {
    if (this.#closed) return;
    this.#changed = false;
    const resources = new Set(this.#wanted);
    const tasks = new Set(this.#tasks);
    const filter: JsonObject = {
      ...this.#lists,
      ...(resources.size === 0 ? {} : { resourceSubscriptions: [...resources] }),
      ...(tasks.size === 0 ? {} : { taskIds: [...tasks] }),
    };
    if (Object.keys(filter).length === 0) {
      this.#stop(this.#current);
      this.#current = undefined;
      return;
    }
    let id: number | undefined;
    id = this.#port.listen(filter, (answer) => {
      if (id !== undefined) this.#ended(id, answer);
    });
    if (id === undefined) return this.#failed('it could not be asked to tell of changes');
    this.#streams.set(id, { filter, resources, tasks, agreed: undefined });
    this.#opening = id;
    const late = id;
    this.#acknowledgeTimer = setTimeout(() => {
      this.#port.stop(late);
      this.#over(late, 'it did not acknowledge a subscription');
    }, this.#times.acknowledgeMs);
    this.#acknowledgeTimer.unref();
  }

  #acknowledged(id: number, stream: Stream, { notifications }: JsonObject): boolean {
    if (stream.agreed !== undefined || id !== this.#opening) return false;
    const honoured = isJsonObject(notifications) ? notifications.resourceSubscriptions : undefined;
    const agreed = Array.isArray(honoured) ? (honoured as readonly Json[]) : [];
    stream.agreed = new Set(
      agreed.filter((uri): uri is string => typeof uri === 'string' && stream.resources.has(uri)),
    );
    clearTimeout(this.#acknowledgeTimer);
    // Only now: between the two streams nothing is missed.
    this.#stop(this.#current);
    this.#current = id;
    this.#opening = undefined;
    this.#failures = 0;
    this.#settleFirst();
    for (const waiting of this.#waitingFor(stream))
      this.#settle(waiting, stream.agreed.has(waiting.uri) ? DONE : NOT_AGREED);
    if (this.#missed) this.#port.onGap();
    this.#missed = false;
    if (this.#changed) this.#refresh();
    return true;
  }

  #ended(id: number, answer: ToolAnswer): void {
    if (answer.kind !== 'error')
      return this.#over(id, answer.kind === 'result' ? 'it ended the stream' : answer.detail);
    const stream = this.#streams.get(id);
    for (const waiting of stream === undefined ? [] : this.#waitingFor(stream)) this.#settle(waiting, answer);
    this.#over(id, `it answered subscriptions/listen with the error ${answer.error.code}`, true);
  }

  /** `refused`: the server is there and does not want to. */
  #over(id: number, detail: string, refused = false): void {
    const stream = this.#streams.get(id);
    if (!this.#streams.delete(id) || stream === undefined || this.#closed) return;
    if (id === this.#current) {
      this.#current = undefined;
      this.#missed = true;
      if (this.#opening === undefined) this.#again();
    }
    if (id !== this.#opening) return;
    clearTimeout(this.#acknowledgeTimer);
    this.#opening = undefined;
    for (const waiting of this.#waitingFor(stream)) this.#settle(waiting, { kind: 'lost', detail });
    this.#failed(detail, refused);
  }

  #failed(detail: string, refused = false): void {
    this.#settleFirst();
    this.#failures += 1;
    if (this.#failures > 1 && !refused) this.#port.onDoubt(detail);
    this.#again();
  }

  #again(): void {
    if (this.#closed || this.#againTimer !== undefined) return;
    const { againFirstMs, againMaxMs } = this.#times;
    const waitMs = Math.min(againMaxMs, againFirstMs * 2 ** Math.min(this.#failures, 10));
    this.#againTimer = setTimeout(() => {
      this.#againTimer = undefined;
      if (this.#opening === undefined) this.#open();
    }, waitMs);
    this.#againTimer.unref();
  }

  #stop(id: number | undefined): void {
    if (id === undefined) return;
    this.#streams.delete(id);
    this.#port.stop(id);
  }

  #waitingFor(stream: Stream): Waiting[] {
    const found = [...this.#waiting].filter(({ uri }) => stream.resources.has(uri));
    for (const waiting of found) this.#waiting.delete(waiting);
    return found;
  }
}

function isWanted({ filter, resources, tasks }: Stream, method: string, params: JsonObject): boolean {
  const list = LISTS[method];
  if (list !== undefined) return filter[list] === true;
  // It may be a part of the resource that was subscribed to.
  if (method === 'notifications/resources/updated') return typeof params.uri === 'string' && resources.size > 0;
  if (method === 'notifications/tasks') return typeof params.taskId === 'string' && tasks.has(params.taskId);
  return false;
}

const DONE: ToolAnswer = { kind: 'result', result: {}, bytes: 2 };
const NOT_AGREED: ToolAnswer = {
  kind: 'error',
  error: { code: -32602, message: 'the server does not tell of this resource' },
  bytes: 0,
};

function settled(answer: ToolAnswer): ToolRun {
  return { answer: Promise.resolve(answer), cancel: () => undefined };
}
