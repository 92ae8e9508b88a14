// The messages of one client of 2026-07-28. Each request stands for itself: what it may ask is read from its own envelope, and on HTTP its
// headers must say the same. Whatever is refused is recorded first and answered then. The bytes were parsed by whoever hands a message over.

import { actionId, isGovernedMethod } from '../../../domain/action.ts';
import { type Denial, deny } from '../../../domain/denial.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import type { ClaimedClient } from '../../../proxy/claimed-client.ts';
import type { Delivery, ProtocolHeaders, Reply } from '../../../proxy/client-port.ts';
import { denialData, errorCode, type OperatorHints } from '../../../proxy/client-view.ts';
import type { Conversation } from '../../../proxy/conversation.ts';
import { type Classified, classify, type RequestId, RPC, resultMessage } from '../../../proxy/jsonrpc.ts';
import { lookupMethod, MODERN_REVISION, unservedCode } from '../../../proxy/method-table.ts';
import { LISTED_BY } from '../../../proxy/offers.ts';
import { operationOf } from '../../../proxy/operation.ts';
import { reservedMeta } from '../../../proxy/own-name.ts';
import { pageOf } from '../../../proxy/page.ts';
import type { Notice } from '../../../proxy/tool-server.ts';
import { type Asked, identityOf, missing, UNCACHED } from './call-reply.ts';
import { type Envelope, knowsTasks, mannerOf, readEnvelope } from './envelope.ts';
import { GovernedRequest } from './governed-request.ts';
import { checkHeaders, checkParameters } from './header-check.ts';
import { Listens } from './listens.ts';
import { discovered } from './offered.ts';
import type { OpenRounds } from './open-rounds.ts';
import { CODE, errorText, statusOf, TASKS_EXTENSION } from './protocol.ts';

type Request = Extract<Classified, { kind: 'request' }>;
type Notification = Extract<Classified, { kind: 'notification' }>;

export interface ModernSessionOptions {
  readonly conversation: Conversation;
  readonly rounds: OpenRounds;
  readonly hints: OperatorHints;
  readonly version: string;
  /** Told with every request; whoever takes it knows that. */
  readonly greeted?: (revision: string, client: ClaimedClient | undefined) => void;
}

interface Refusal {
  readonly denial: Denial;
  readonly rpc: number;
  readonly message: string;
  readonly data?: JsonObject;
  readonly status?: number;
}

export class ModernSession {
  readonly #options: ModernSessionOptions;
  readonly #conversation: Conversation;
  readonly #identity: JsonObject;
  readonly #view: string;
  readonly #listens: Listens;
  /** How to give up what is in progress. On HTTP every request has a scope of its own; elsewhere its id is its name. */
  readonly #open = new Map<RequestId | symbol, () => void>();

  constructor(options: ModernSessionOptions) {
    this.#options = options;
    const { conversation, version } = options;
    this.#conversation = conversation;
    this.#identity = identityOf(version);
    this.#view = conversation.view.kind === 'all' ? '*' : conversation.view.server;
    this.#listens = new Listens(conversation, this.#identity);
  }

  /** Whether a request of this id is in progress. */
  knows(id: unknown): boolean {
    return this.#open.has(id as RequestId);
  }

  /** Handles one parsed message. Never rejects. Resolves when nothing more will be sent for it. */
  async handle(message: Json, reply: Reply, delivery: Delivery = {}): Promise<void> {
    const classified = classify(message);
    switch (classified.kind) {
      case 'batch':
        return this.refuse(deny('MESSAGE_BATCH', 'an array of messages'), reply);
      case 'malformed':
        return this.refuse(deny('MESSAGE_MALFORMED', classified.reason), reply, classified.id);
      case 'response':
        // Nothing is asked of a client of this era by a request.
        return this.refuse(deny('MESSAGE_DIRECTION', 'a response'), reply, null, '(response)');
      case 'notification':
        return this.#notification(classified, reply, delivery.headers);
      case 'request':
        return this.#request(classified, reply, delivery);
    }
  }

  /** Records a refusal, then answers it as an error of this protocol. */
  refuse(denial: Denial, reply: Reply, id: RequestId | null = null, method = '(message)'): Promise<void> {
    return this.#refuse(id, method, reply, refusalFor(denial));
  }

  /** Records that bytes came which are no message that we read, and says so. */
  async unreadable(reason: string, detail: string, reply: Reply): Promise<void> {
    const denial = deny('MESSAGE_MALFORMED', detail);
    return this.#refuse(null, '(unreadable)', reply, {
      denial,
      rpc: RPC.parseError,
      message: `Parse error: ${reason}`,
    });
  }

  noticed(notice: Notice): void {
    this.#listens.noticed(notice);
  }

  /** Ends what only listens. Calls end with the conversation, and are answered so. */
  async stopListening(by: 'disconnect' | 'shutdown'): Promise<void> {
    await this.#listens.close(by);
  }

  async #notification({ method, params = {} }: Notification, reply: Reply, headers?: ProtocolHeaders): Promise<void> {
    const mismatch = headers === undefined ? undefined : checkHeaders(headers, { method, params });
    if (mismatch !== undefined) return this.#refuse(null, method, reply, headerRefusal(mismatch));
    const row = lookupMethod('modern', 'client', 'notification', method);
    if (row === undefined || row.action === 'deny') {
      await this.#conversation.refuse(deny(unservedCode('client', method, row), 'a notification'), method);
      return;
    }
    // A cancellation that crosses its answer finds nothing and changes nothing. On HTTP closing the stream is what cancels.
    if (method === 'notifications/cancelled' && headers === undefined)
      this.#open.get(params.requestId as RequestId)?.();
  }

  async #request({ id, method, params = {} }: Request, reply: Reply, delivery: Delivery): Promise<void> {
    const refuse = (refusal: Refusal) => this.#refuse(id, method, reply, refusal);
    const envelope = readEnvelope(params);
    if (typeof envelope === 'string') return refuse(paramsRefusal(envelope, 400));
    // Without headers nothing is awaited before the request can be cancelled: its cancellation may be right behind it.
    const { headers } = delivery;
    const mismatch = headers === undefined ? undefined : await this.#mismatch({ id, method, params }, headers);
    if (mismatch !== undefined) return refuse(headerRefusal(mismatch));
    if (envelope.version !== MODERN_REVISION) return refuse(versionRefusal(envelope.version));
    this.#options.greeted?.(envelope.version, envelope.claimed);
    const row = lookupMethod('modern', 'client', 'request', method);
    if (row === undefined || row.action === 'deny')
      return refuse(refusalFor(deny(unservedCode('client', method, row), method), RPC.methodNotFound));
    const reserved = reservedMeta(params);
    if (reserved !== undefined) return refuse(refusalFor(deny('META_RESERVED', reserved)));
    const asked = { id, method, params };
    if (isGovernedMethod(method)) return this.#govern(asked, envelope, reply, delivery);
    if (method === 'subscriptions/listen') return this.#listen(asked, envelope, reply, delivery);
    if (method === 'server/discover')
      return reply(resultMessage(id, await discovered(this.#conversation, this.#identity)));
    return this.#list(asked, reply);
  }

  /** The header that does not agree with the request. */
  async #mismatch({ method, params }: Asked, headers: ProtocolHeaders): Promise<string | undefined> {
    const standard = checkHeaders(headers, { method, params });
    if (standard !== undefined || method !== 'tools/call' || typeof params.name !== 'string') return standard;
    const { gate, principal } = this.#conversation;
    await gate.described();
    const { server, name } = this.#conversation.named(params.name);
    // A tool that is hidden from this client must answer like one that does not exist.
    if (!(await gate.visible(principal)).has(actionId(method, server, name))) return undefined;
    const schema = gate.catalogue.tool(server, name)?.definition.inputSchema;
    return schema !== undefined && isJsonObject(schema)
      ? checkParameters(headers, schema, params.arguments ?? null)
      : undefined;
  }

  async #govern(asked: Asked, envelope: Envelope, reply: Reply, delivery: Delivery): Promise<void> {
    const { id, method } = asked;
    const conversation = this.#conversation;
    if (method.startsWith('tasks/') && !knowsTasks(envelope))
      return this.#refuse(id, method, reply, TASKS_NOT_DECLARED);
    const { rounds, hints } = this.#options;
    const request = new GovernedRequest({
      conversation,
      rounds,
      hints,
      identity: this.#identity,
      view: this.#view,
      asked,
      envelope,
      reply,
    });
    const done = this.#opened(id, delivery, () => request.cancel());
    if (done === undefined) return this.refuse(deny('MESSAGE_MALFORMED', 'the id is in use'), reply, id, method);
    try {
      await conversation.gate.described();
      const operation = await operationOf(conversation, asked, mannerOf(envelope));
      if (request.isCancelled) {
        await conversation.refuse(deny('CANCELLED', 'before the call began'), method);
        return;
      }
      if (!('code' in operation)) return await request.run(operation);
      if (operation.code === 'TOOL_UNKNOWN') return await request.refuse(operation, () => ({ text: missing(asked) }));
      return await this.#refuse(id, method, reply, paramsRefusal(operation.detail ?? method));
    } finally {
      done();
    }
  }

  async #listen(asked: Asked, envelope: Envelope, reply: Reply, delivery: Delivery): Promise<void> {
    const { id, method, params } = asked;
    const { notifications: filter } = params;
    if (filter === undefined || !isJsonObject(filter))
      return this.#refuse(id, method, reply, paramsRefusal('notifications is not an object'));
    if (!this.#listens.hasRoom()) return this.refuse(deny('OVERLOADED', 'too many streams'), reply, id, method);
    let cancel: () => void = () => {};
    const done = this.#opened(id, delivery, () => cancel());
    if (done === undefined) return this.refuse(deny('MESSAGE_MALFORMED', 'the id is in use'), reply, id, method);
    const { until } = delivery;
    const request = { id, filter, manner: mannerOf(envelope), tasks: knowsTasks(envelope), until };
    const { ended } = await this.#listens.open(request, reply, (listener) => {
      cancel = listener;
    });
    const over = ended.finally(done);
    // Where there is no stream of its own to keep open, nothing waits for it.
    if (delivery.onGone !== undefined) await over;
  }

  async #list({ id, method, params }: Asked, reply: Reply): Promise<void> {
    const kind = LISTED_BY[method];
    const list = kind === undefined ? await this.#conversation.tools() : await this.#conversation.offers(kind);
    const { gate, principal } = this.#conversation;
    const page = pageOf(gate.crypto.sha256, principal.agent, list, params.cursor);
    if (page === undefined) return reply(errorText(id, RPC.invalidParams, 'Invalid cursor'));
    const { items, nextCursor } = page;
    const next = nextCursor === undefined ? {} : { nextCursor };
    const result = { [kind ?? 'tools']: items, ...next, ...UNCACHED, resultType: 'complete', _meta: this.#identity };
    reply(resultMessage(id, result));
  }

  /** Remembers how to give a request up; undefined when its id is in use. The returned function forgets it. */
  #opened(id: RequestId, { onGone }: Delivery, cancel: () => void): (() => void) | undefined {
    const key = onGone === undefined ? id : Symbol();
    if (this.#open.has(key)) return undefined;
    this.#open.set(key, cancel);
    onGone?.(cancel);
    return () => {
      if (this.#open.get(key) === cancel) this.#open.delete(key);
    };
  }

  async #refuse(id: RequestId | null, method: string, reply: Reply, refusal: Refusal): Promise<void> {
    const { denial, rpc, message, data, status } = refusal;
    const call = await this.#conversation.refuse(denial, method);
    reply(errorText(id, rpc, message, { ...denialData(denial.code, call), ...data }), status ?? statusOf(rpc));
  }
}

const TASKS_NOT_DECLARED: Refusal = {
  denial: deny('METHOD_NOT_SERVED', 'the client did not declare tasks'),
  rpc: CODE.missingCapability,
  message: 'The client did not declare the extension for tasks',
  data: { requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } } },
};

function refusalFor(denial: Denial, rpc = errorCode(denial.code)): Refusal {
  const message = rpc === RPC.methodNotFound ? 'Method not found' : `Denied by Portcullis (${denial.code})`;
  return { denial, rpc, message };
}

function paramsRefusal(detail: string, status?: number): Refusal {
  const refusal = { denial: deny('MESSAGE_MALFORMED', detail), rpc: RPC.invalidParams };
  return { ...refusal, message: `Invalid params: ${detail}`, ...(status === undefined ? {} : { status }) };
}

function headerRefusal(header: string): Refusal {
  const denial = deny('HEADER_MISMATCH', header);
  return { denial, rpc: CODE.headerMismatch, message: `Header mismatch: ${header}` };
}

function versionRefusal(requested: string): Refusal {
  const denial = deny('MESSAGE_MALFORMED', `protocol version ${requested}`);
  const data = { supported: [MODERN_REVISION], requested };
  return { denial, rpc: CODE.unsupportedVersion, message: 'Unsupported protocol version', data };
}
