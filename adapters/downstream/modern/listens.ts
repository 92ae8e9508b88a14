// Listening streams: what a client asked to hear is told on the stream of that request and marked with its id, until the stream is closed, its
// time or its credential is over, or the conversation ends. Of resources it hears only where a rule allows to subscribe to them.

import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import type { Reply } from '../../../proxy/client-port.ts';
import type { Conversation } from '../../../proxy/conversation.ts';
import { notificationMessage, type RequestId, resultMessage } from '../../../proxy/jsonrpc.ts';
import { LEAVE_MS, LISTEN_MS, LISTEN_TARGETS_MAX, LISTENS_PER_CONVERSATION_MAX } from '../../../proxy/limits.ts';
import { operationOf } from '../../../proxy/operation.ts';
import { isPartOf } from '../../../proxy/subscriptions.ts';
import type { Manner, Notice } from '../../../proxy/tool-server.ts';
import { KEY } from './protocol.ts';

export interface ListenRequest {
  readonly id: RequestId;
  readonly filter: JsonObject;
  readonly manner: Manner;
  /** Whether the client knows what a task is. */
  readonly tasks: boolean;
  /** Unix milliseconds: when the credential ends that came with it. */
  readonly until?: number | undefined;
}

interface Listen {
  readonly id: RequestId;
  readonly honoured: Honoured;
  readonly reply: Reply;
  /** Ends it once; `gone` when nobody hears the result any more. */
  finish(gone: boolean): void;
}

interface Honoured {
  readonly lists: ReadonlySet<string>;
  readonly resources: ReadonlySet<string>;
  readonly tasks: ReadonlySet<string>;
}

/** Which member of the filter asks for which notification, and the capability without which there is none. */
const LISTS = [
  ['toolsListChanged', 'notifications/tools/list_changed', 'tools'],
  ['promptsListChanged', 'notifications/prompts/list_changed', 'prompts'],
  ['resourcesListChanged', 'notifications/resources/list_changed', 'resources'],
] as const;

const SILENT = { onProgress: () => {}, onLog: () => {}, client: undefined };

export class Listens {
  readonly #conversation: Conversation;
  readonly #identity: JsonObject;
  readonly #open = new Set<Listen>();
  /** How many streams wait for each resource. */
  readonly #waiting = new Map<string, number>();
  readonly #ending = new Set<Promise<void>>();
  /** Streams that are not acknowledged yet, and what was said meanwhile: of each thing the latest. */
  readonly #opening = new Set<Map<string, Notice>>();
  #closed: 'disconnect' | 'shutdown' | undefined;

  constructor(conversation: Conversation, identity: JsonObject) {
    this.#conversation = conversation;
    this.#identity = identity;
  }

  hasRoom(): boolean {
    return this.#closed === undefined && this.#open.size + this.#opening.size < LISTENS_PER_CONVERSATION_MAX;
  }

  /**
   * Acknowledges, and listens. `onGone` tells when nobody hears it any more. The inner promise resolves when the stream has ended.
   */
  async open(
    request: ListenRequest,
    reply: Reply,
    onGone: (listener: () => void) => void,
  ): Promise<{ readonly ended: Promise<void> }> {
    let gone = false;
    let finish: (gone: boolean) => void = () => {
      gone = true;
    };
    onGone(() => finish(true));
    const early = new Map<string, Notice>();
    this.#opening.add(early);
    const honoured = await this.#honoured(request);
    this.#opening.delete(early);
    const { id, manner } = request;
    if (gone || this.#closed !== undefined) {
      await this.#unsubscribe(honoured, manner);
      if (!gone) this.#sayEnd(id, reply);
      return { ended: Promise.resolve() };
    }
    const tag = { [KEY.subscription]: id };
    reply(
      notificationMessage('notifications/subscriptions/acknowledged', { notifications: said(honoured), _meta: tag }),
    );
    const over = new Promise<boolean>((resolve) => {
      finish = resolve;
    });
    const listen: Listen = { id, honoured, reply, finish: (by) => finish(by) };
    this.#open.add(listen);
    for (const notice of early.values()) tell(listen, notice);
    const { clock } = this.#conversation.gate;
    const { until = Number.POSITIVE_INFINITY } = request;
    const late = clock.timer(Math.min(LISTEN_MS, Math.max(0, until - clock.now())), () => finish(false));
    const end = async (): Promise<void> => {
      const isGone = await over;
      late();
      this.#open.delete(listen);
      if (!isGone) this.#sayEnd(id, reply);
      // At a shutdown the servers end as well.
      if (this.#closed !== 'shutdown') await this.#unsubscribe(honoured, manner);
    };
    const ended = end().finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
    return { ended };
  }

  /** Something was said unasked: to each stream that asked for it. */
  noticed(notice: Notice): void {
    for (const listen of this.#open) tell(listen, notice);
    const { method, params } = notice;
    const about = `${method} ${String(params.uri ?? params.taskId ?? '')}`;
    for (const early of this.#opening) if (early.size < EARLY_MAX || early.has(about)) early.set(about, notice);
  }

  /** Ends every stream with its result, and takes no other. Resolves when the servers have let go, or do not in time. */
  async close(by: 'disconnect' | 'shutdown'): Promise<void> {
    this.#closed ??= by;
    for (const { finish } of this.#open) finish(false);
    if (this.#ending.size === 0) return;
    let inTime: () => void = () => {};
    const late = new Promise<void>((resolve) => {
      inTime = this.#conversation.gate.clock.timer(LEAVE_MS, resolve);
    });
    await Promise.race([Promise.all(this.#ending), late]);
    inTime();
  }

  #sayEnd(id: RequestId, reply: Reply): void {
    reply(resultMessage(id, { resultType: 'complete', _meta: { ...this.#identity, [KEY.subscription]: id } }));
  }

  /** What of the filter is granted. */
  async #honoured({ filter, manner, tasks }: ListenRequest): Promise<Honoured> {
    const capabilities = await this.#conversation.capabilities();
    const lists = LISTS.filter(([asked, , needed]) => filter[asked] === true && capabilities[needed] !== undefined);
    const subscribed = await Promise.all(
      texts(filter.resourceSubscriptions).map(async (uri) =>
        (await this.#govern('resources/subscribe', uri, manner)) ? [uri] : [],
      ),
    );
    const resources = new Set(subscribed.flat());
    for (const uri of resources) this.#waiting.set(uri, (this.#waiting.get(uri) ?? 0) + 1);
    const known = tasks ? texts(filter.taskIds).filter((id) => this.#conversation.task(id) !== undefined) : [];
    return { lists: new Set(lists.map(([, method]) => method)), resources, tasks: new Set(known) };
  }

  /** What no other stream waits for is not listened to any more. */
  async #unsubscribe({ resources }: Honoured, manner: Manner): Promise<void> {
    await Promise.all(
      [...resources].map(async (uri) => {
        const others = (this.#waiting.get(uri) ?? 1) - 1;
        if (others > 0) return this.#waiting.set(uri, others);
        this.#waiting.delete(uri);
        return this.#govern('resources/unsubscribe', uri, manner);
      }),
    );
  }

  async #govern(method: string, uri: string, manner: Manner): Promise<boolean> {
    const conversation = this.#conversation;
    const operation = await operationOf(conversation, { method, params: { uri } }, manner);
    if ('code' in operation || !conversation.hasRoom()) {
      const denial = 'code' in operation ? operation : ({ code: 'OVERLOADED' } as const);
      await conversation.refuse(denial, method);
      return false;
    }
    return (await conversation.begin(operation, SILENT).end).kind === 'result';
  }
}

/** Lists, and every resource and task that it may name. */
const EARLY_MAX = LISTS.length + 2 * LISTEN_TARGETS_MAX;

function tell({ id, honoured, reply }: Listen, { method, params }: Notice): void {
  if (!isHonoured(honoured, method, params)) return;
  const meta = isJsonObject(params._meta) ? params._meta : {};
  reply(notificationMessage(method, { ...params, _meta: { ...meta, [KEY.subscription]: id } }));
}

function texts(value: Json | undefined): string[] {
  const all = Array.isArray(value) ? (value as readonly Json[]) : [];
  return [...new Set(all.filter((item): item is string => typeof item === 'string'))].slice(0, LISTEN_TARGETS_MAX);
}

function said({ lists, resources, tasks }: Honoured): JsonObject {
  return {
    ...Object.fromEntries(LISTS.filter(([, method]) => lists.has(method)).map(([asked]) => [asked, true])),
    ...(resources.size > 0 ? { resourceSubscriptions: [...resources] } : {}),
    ...(tasks.size > 0 ? { taskIds: [...tasks] } : {}),
  };
}

function isHonoured({ lists, resources, tasks }: Honoured, method: string, params: JsonObject): boolean {
  switch (method) {
    case 'notifications/resources/updated':
      return isPartOf(resources, String(params.uri));
    case 'notifications/tasks':
      return tasks.has(String(params.taskId));
    default:
      return lists.has(method);
  }
}
