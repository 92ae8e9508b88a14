// One conversation with a client of the revisions up to 2025-11-25: parses strictly, asks the method table, answers what is local, filters
// lists, and runs every call through the machine. Whatever is refused is recorded first and answered then.

import { type Denial, type DenialCode, deny } from '../domain/denial.ts';
import { ulid } from '../domain/ids.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { rootLineage } from '../domain/lineage.ts';
import type { Principal } from '../domain/principal.ts';
import { parseStrictJson } from '../domain/strict-json.ts';
import type { CallRequested } from '../state-machines/execution-events.ts';
import { captureCall } from './captured-call.ts';
import type { ClientSession, CloseReason, Reply, ViewName } from './client-port.ts';
import { denialError, META_PREFIX, type OperatorHints, toolCallReply } from './client-view.ts';
import type { Enforcement } from './enforcement.ts';
import {
  type Classified,
  classify,
  errorMessage,
  notificationMessage,
  type RequestId,
  RPC,
  resultMessage,
} from './jsonrpc.ts';
import { CALLS_IN_FLIGHT_PER_SESSION_MAX, DEFAULT_JSON_LIMITS } from './limits.ts';
import { isOfOtherSide, isServedRevision, LATEST_REVISION, lookupMethod, type ServedRevision } from './method-table.ts';
import type { RunningCall } from './runner.ts';
import { exposedName, resolveName, toolsOf } from './tool-names.ts';

type Request = Extract<Classified, { kind: 'request' }>;
type Notification = Extract<Classified, { kind: 'notification' }>;

export interface SessionOptions {
  readonly principal: Principal;
  readonly view: ViewName;
  readonly hints: OperatorHints;
  readonly version: string;
  readonly onClose?: () => void;
}

/** Where a batch is part of the protocol. */
const BATCH_REVISION: ServedRevision = '2025-03-26';

export class LegacySession implements ClientSession {
  readonly #gate: Enforcement;
  readonly #options: SessionOptions;
  readonly #running = new Map<RequestId, RunningCall>();
  /** Calls that came before the servers were known: a client may send them right behind `initialize`. */
  readonly #early = new Map<RequestId, symbol>();
  /** Requests that the client withdrew: they get no reply. */
  readonly #withdrawn = new Set<RequestId>();
  #revision: ServedRevision | undefined;
  /** The client has the answer to `initialize`: before it, it expects nothing else from us. */
  #introduced = false;
  #closed = false;
  #notify: Reply = () => {};

  constructor(gate: Enforcement, options: SessionOptions) {
    this.#gate = gate;
    this.#options = options;
  }

  get revision(): ServedRevision | undefined {
    return this.#revision;
  }

  onNotification(send: Reply): void {
    this.#notify = send;
  }

  /** Tells the client that its list of tools may have changed. */
  toolsChanged(): void {
    if (this.#introduced && !this.#closed) this.#notify(notificationMessage('notifications/tools/list_changed'));
  }

  async receive(message: Uint8Array, reply: Reply): Promise<void> {
    const parsed = parseStrictJson(message, DEFAULT_JSON_LIMITS);
    if (!parsed.ok) {
      const detail = `${parsed.reason} at byte ${parsed.offset}`;
      if (parsed.reason === 'too_large') return this.#refuse('MESSAGE_TOO_LARGE', detail, reply);
      const end = await this.#record('MESSAGE_MALFORMED', detail, '(unreadable)');
      return reply(errorMessage(null, RPC.parseError, `Parse error: ${parsed.reason}`, end));
    }
    const classified = classify(parsed.value);
    if (classified.kind !== 'batch') return this.#handle(classified, reply);
    if (this.#revision !== BATCH_REVISION) return this.#refuse('MESSAGE_BATCH', 'an array of messages', reply);
    return this.#handleBatch(classified.elements, reply);
  }

  async refuse(code: DenialCode, detail: string, reply: Reply): Promise<void> {
    return this.#refuse(code, detail, reply);
  }

  async close(reason: CloseReason): Promise<void> {
    this.#closed = true;
    const by = reason === 'client' ? 'disconnect' : reason;
    const running = [...this.#running.values()];
    for (const call of running) call.stop({ type: 'call.cancelled', by });
    await Promise.all(running.map((call) => call.end));
    this.#options.onClose?.();
  }

  /** Every element is governed by itself; the answers go back as one array, as 2025-03-26 says. */
  async #handleBatch(elements: readonly Json[], reply: Reply): Promise<void> {
    if (elements.length === 0) return this.#refuse('MESSAGE_MALFORMED', 'an empty batch', reply);
    if (elements.length > CALLS_IN_FLIGHT_PER_SESSION_MAX)
      return this.#refuse('OVERLOADED', 'a batch that is too long', reply);
    const answers: string[] = [];
    await Promise.all(
      elements.map((element) => {
        const classified = classify(element);
        if (classified.kind === 'batch')
          return this.#refuse('MESSAGE_BATCH', 'a batch inside a batch', (a) => answers.push(a));
        const initializes = classified.kind === 'request' && classified.method === 'initialize';
        if (initializes)
          return this.#refuse('MESSAGE_BATCH', 'initialize inside a batch', (a) => answers.push(a), classified.id);
        // The array holds answers only, and leaves when all are there: progress would come too late to mean anything.
        return this.#handle(
          classified,
          (answer) => answers.push(answer),
          () => {},
        );
      }),
    );
    if (answers.length > 0) reply(`[${answers.join(',')}]`);
  }

  async #handle(message: Exclude<Classified, { kind: 'batch' }>, reply: Reply, progress: Reply = reply): Promise<void> {
    switch (message.kind) {
      case 'malformed':
        return this.#refuse('MESSAGE_MALFORMED', message.reason, reply, message.id);
      case 'response':
        // We never ask clients anything, so no response can be expected. It is dropped: a response is not answered.
        await this.#record('MESSAGE_DIRECTION', 'a response to nothing', '(response)');
        return;
      case 'notification':
        return this.#notification(message);
      case 'request':
        return this.#request(message, reply, progress);
    }
  }

  async #notification(message: Notification): Promise<void> {
    const row = lookupMethod('client', 'notification', message.method);
    if (row === undefined || row.action === 'deny') {
      await this.#record(refusalOf(message.method, row !== undefined), 'a notification', message.method);
      return;
    }
    if (message.method === 'notifications/cancelled') this.#cancel(message.params);
  }

  #cancel(params: JsonObject | undefined): void {
    const id = params?.requestId;
    if (typeof id !== 'string' && typeof id !== 'number') return;
    this.#early.delete(id);
    // A cancellation that crosses its answer finds nothing running and changes nothing.
    const running = this.#running.get(id);
    if (running === undefined) return;
    this.#withdrawn.add(id);
    running.stop({ type: 'call.cancelled', by: 'client' });
  }

  async #request(message: Request, reply: Reply, progress: Reply): Promise<void> {
    const row = lookupMethod('client', 'request', message.method);
    if (row === undefined || row.action === 'deny') {
      return this.#refuse(
        refusalOf(message.method, row !== undefined),
        message.method,
        reply,
        message.id,
        message.method,
      );
    }
    const reserved = reservedMeta(message.params);
    if (reserved !== undefined) return this.#refuse('META_RESERVED', reserved, reply, message.id, message.method);
    switch (message.method) {
      case 'initialize':
        return this.#initialize(message, reply);
      case 'ping':
        return reply(resultMessage(message.id, {}));
      default:
        break;
    }
    if (this.#revision === undefined)
      return this.#refuse('NOT_INITIALIZED', message.method, reply, message.id, message.method);
    switch (message.method) {
      case 'tools/list':
        return this.#listTools(message, reply);
      case 'prompts/list':
        return reply(resultMessage(message.id, { prompts: [] }));
      case 'resources/list':
        return reply(resultMessage(message.id, { resources: [] }));
      case 'resources/templates/list':
        return reply(resultMessage(message.id, { resourceTemplates: [] }));
      case 'logging/setLevel':
        return reply(resultMessage(message.id, {}));
      case 'tools/call':
        return this.#callTool(message, reply, progress);
      default:
        return this.#refuse('METHOD_NOT_SERVED', message.method, reply, message.id, message.method);
    }
  }

  async #initialize(message: Request, reply: Reply): Promise<void> {
    if (this.#revision !== undefined)
      return this.#refuse('MESSAGE_MALFORMED', 'initialized twice', reply, message.id, 'initialize');
    const asked = message.params?.protocolVersion;
    if (typeof asked !== 'string')
      return this.#refuse('MESSAGE_MALFORMED', 'no protocolVersion', reply, message.id, 'initialize');
    this.#revision = isServedRevision(asked) ? asked : LATEST_REVISION;
    await this.#gate.described();
    const { view } = this.#options;
    const instructions = view.kind === 'server' ? this.#gate.catalogue.server(view.server)?.instructions : undefined;
    reply(
      resultMessage(message.id, {
        protocolVersion: this.#revision,
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: 'portcullis', version: this.#options.version },
        ...(instructions === undefined ? {} : { instructions }),
      }),
    );
    this.#introduced = true;
  }

  async #listTools(message: Request, reply: Reply): Promise<void> {
    if (message.params?.cursor !== undefined) {
      return reply(errorMessage(message.id, RPC.invalidParams, 'Invalid cursor'));
    }
    await this.#gate.described();
    const { view, principal } = this.#options;
    const visible = await this.#gate.visible(principal);
    const tools = toolsOf(view, this.#gate.catalogue)
      .filter(
        (tool) => visible.has(`${tool.server}/${tool.name}`) && !this.#gate.catalogue.drifted(tool.server, tool.name),
      )
      .map((tool) => ({ ...tool.definition, name: exposedName(view, tool.server, tool.name) }));
    reply(resultMessage(message.id, { tools }));
  }

  async #callTool(message: Request, reply: Reply, progress: Reply): Promise<void> {
    const { id } = message;
    const { name, arguments: args = {}, _meta: meta = {}, ...rest } = message.params ?? {};
    if (typeof name !== 'string') return this.#refuse('MESSAGE_MALFORMED', 'no tool name', reply, id, 'tools/call');
    if (!isJsonObject(args) || !isJsonObject(meta)) {
      return this.#refuse('MESSAGE_MALFORMED', 'arguments are not an object', reply, id, 'tools/call');
    }
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) {
      return this.#refuse('METHOD_NOT_SERVED', `tools/call with ${JSON.stringify(unknown)}`, reply, id, 'tools/call');
    }
    if (this.#running.has(id) || this.#early.has(id)) {
      return this.#refuse('MESSAGE_MALFORMED', 'the id is in use', reply, id, 'tools/call');
    }
    if (this.#early.size >= CALLS_IN_FLIGHT_PER_SESSION_MAX) {
      return this.#refuse('OVERLOADED', 'too many calls before the servers are known', reply, id, 'tools/call');
    }
    // Once withdrawn an id can be taken anew: which of two calls it stands for is told by the mark.
    const mark = Symbol();
    this.#early.set(id, mark);
    await this.#gate.described();
    if (this.#early.get(id) === mark) this.#early.delete(id);
    else {
      await this.#record('CANCELLED', 'before the servers were known', 'tools/call');
      return;
    }
    if (this.#closed || this.#running.size >= CALLS_IN_FLIGHT_PER_SESSION_MAX || !this.#gate.hasRoom()) {
      return this.#refuse('OVERLOADED', 'too many calls in flight', reply, id, 'tools/call');
    }
    const target = resolveName(this.#options.view, name);
    const { progressToken, ...forwarded } = withoutHopKeys(meta);
    const captured = captureCall(this.#gate.crypto, {
      call: this.#newId(),
      at: this.#gate.clock.now(),
      atMonotonic: this.#gate.clock.monotonic(),
      principal: this.#options.principal,
      // A name that cannot be resolved names no server; the catalogue will not find it.
      server: target?.server ?? '',
      tool: target?.tool ?? name,
      arguments: args,
      meta: forwarded,
    });
    const onProgress = (params: JsonObject): void => {
      if (progressToken === undefined || this.#withdrawn.has(id)) return;
      progress(notificationMessage('notifications/progress', { ...params, progressToken }));
    };
    const running = this.#gate.start(captured, { limits: this.#gate.limits(captured.server), onProgress }, this);
    this.#running.set(id, running);
    const end = await running.end;
    this.#running.delete(id);
    if (!this.#withdrawn.delete(id)) reply(toolCallReply(id, name, end, this.#options.hints));
  }

  /** Records a refusal, then answers it as an error of this protocol. */
  async #refuse(
    code: DenialCode,
    detail: string,
    reply: Reply,
    id: RequestId | null = null,
    method = '(message)',
  ): Promise<void> {
    const call = this.#newId();
    await this.#deny(deny(code, detail), call, method);
    reply(denialError(id, code, call));
  }

  async #record(code: DenialCode, detail: string, method: string): Promise<JsonObject> {
    const call = this.#newId();
    await this.#deny(deny(code, detail), call, method);
    return { [`${META_PREFIX}denial`]: { code, call } };
  }

  async #deny(denial: Denial, call: string, method: string): Promise<void> {
    const requested: CallRequested = {
      type: 'call.requested',
      at: this.#gate.clock.now(),
      call,
      method,
      server: this.#options.view.kind === 'server' ? this.#options.view.server : null,
      tool: null,
      principal: this.#options.principal,
      args: null,
      lineage: rootLineage(call),
    };
    await this.#gate.refuse({ requested, denial }).end;
  }

  #newId(): string {
    return ulid(this.#gate.clock.now(), this.#gate.crypto.randomBytes(10));
  }
}

function refusalOf(method: string, known: boolean): DenialCode {
  if (known) return 'METHOD_NOT_SERVED';
  return isOfOtherSide('client', method) ? 'MESSAGE_DIRECTION' : 'METHOD_UNKNOWN';
}

/** The first `_meta` key that only this gate may set. */
function reservedMeta(params: JsonObject | undefined): string | undefined {
  const meta = params?._meta;
  if (!isJsonObject(meta)) return undefined;
  return Object.keys(meta).find((key) => key.startsWith(META_PREFIX));
}

/** The protocol's own keys describe one hop and are set anew for the next. */
function withoutHopKeys(meta: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(meta).filter(([key]) => !key.startsWith('io.modelcontextprotocol/')));
}
