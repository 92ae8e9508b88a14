// One conversation, whatever the client speaks: bytes are parsed here once and strictly, and each message goes to the era that it belongs to.
// An era holds no state of the other; nothing a client sends pins it to one. What both share is whose conversation it is.

import { type DenialCode, deny } from '../../domain/denial.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import type { Principal } from '../../domain/principal.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import type { ClaimedClient } from '../../proxy/claimed-client.ts';
import type {
  ClientSession,
  CloseReason,
  Delivery,
  ProtocolHeaders,
  Reply,
  ViewName,
} from '../../proxy/client-port.ts';
import type { OperatorHints } from '../../proxy/client-view.ts';
import { Conversation } from '../../proxy/conversation.ts';
import type { Enforcement } from '../../proxy/enforcement.ts';
import { DEFAULT_JSON_LIMITS } from '../../proxy/limits.ts';
import { isServedRevision } from '../../proxy/method-table.ts';
import type { Era } from '../../proxy/tool-server.ts';
import { withCarried } from './carried.ts';
import { LegacySession } from './legacy/legacy-session.ts';
import { ModernSession } from './modern/modern-session.ts';
import { OpenRounds } from './modern/open-rounds.ts';
import { KEY } from './modern/protocol.ts';

export interface EraSessionOptions {
  readonly principal: Principal;
  readonly view: ViewName;
  readonly hints: OperatorHints;
  readonly version: string;
  /** Where calls are kept that a later message goes on with, which may come to another session. Its own when absent. */
  readonly rounds?: OpenRounds;
  readonly ahead?: boolean;
  readonly onClose?: () => void;
  /** A client said for the first time what it speaks, and perhaps what it is. */
  readonly onGreeted?: ((greeting: Greeting) => void) | undefined;
}

export interface Greeting {
  readonly revision: string;
  readonly client: ClaimedClient | undefined;
}

export class EraSession implements ClientSession {
  readonly #conversation: Conversation;
  readonly #legacy: LegacySession;
  readonly #modern: ModernSession;
  readonly #onClose: (() => void) | undefined;
  #notify: Reply = () => {};

  constructor(gate: Enforcement, options: EraSessionOptions) {
    const { principal, view, hints, version, onClose, onGreeted } = options;
    this.#onClose = onClose;
    const conversation = new Conversation(gate, {
      principal,
      view,
      ahead: options.ahead === true,
      onNotice: (notice) => {
        this.#legacy.noticed(notice);
        this.#modern.noticed(notice);
      },
      client: () => this.#legacy.client(),
    });
    this.#conversation = conversation;
    let hasGreeted = false;
    const greeted = (revision: string, client: ClaimedClient | undefined): void => {
      if (hasGreeted) return;
      hasGreeted = true;
      onGreeted?.({ revision, client });
    };
    const notify = (json: string): void => this.#notify(json);
    this.#legacy = new LegacySession(gate, { conversation, hints, version, notify, greeted });
    const rounds = options.rounds ?? new OpenRounds(gate.clock, gate.crypto);
    this.#modern = new ModernSession({ conversation, rounds, hints, version, greeted });
  }

  get revision(): string | undefined {
    return this.#legacy.revision;
  }

  onNotification(send: Reply): void {
    this.#notify = send;
  }

  async receive(message: Uint8Array, reply: Reply, delivery?: Delivery): Promise<void> {
    const parsed = parseStrictJson(message, DEFAULT_JSON_LIMITS);
    if (parsed.ok) {
      const era = this.#eraOf(parsed.value, delivery?.headers);
      const carried = withCarried(parsed.value, delivery?.headers);
      if ('mismatched' in carried) return this.#mismatched(carried.mismatched, era, reply);
      return era === 'modern'
        ? this.#modern.handle(carried.message, reply, delivery)
        : this.#legacy.handle(carried.message, message.byteLength, reply);
    }
    const detail = `${parsed.reason} at byte ${parsed.offset}`;
    if (parsed.reason === 'too_large') return this.refuse('MESSAGE_TOO_LARGE', detail, reply);
    const era = isModernVersion(delivery?.headers) ? this.#modern : this.#legacy;
    return era.unreadable(parsed.reason, detail, reply);
  }

  refuse(code: DenialCode, detail: string, reply: Reply, delivery?: Delivery): Promise<void> {
    return isModernVersion(delivery?.headers)
      ? this.#modern.refuse(deny(code, detail), reply)
      : this.#legacy.refuse(code, detail, reply);
  }

  #mismatched({ id, method }: JsonObject, era: Era, reply: Reply): Promise<void> {
    const [code, detail] = ['LINEAGE_MISMATCH', 'another token in the header'] as const;
    const asked = typeof id === 'string' || typeof id === 'number' ? id : null;
    return era === 'modern'
      ? this.#modern.refuse(deny(code, detail), reply, asked, String(method))
      : this.#legacy.refuse(code, detail, reply, asked, String(method));
  }

  stopListening(): void {
    void this.#modern.stopListening('shutdown');
  }

  async close(reason: CloseReason): Promise<void> {
    const by = reason === 'shutdown' ? 'shutdown' : 'disconnect';
    this.#legacy.close();
    // First what runs: a server that takes its time to let go of a subscription must not keep a call going that nobody waits for.
    this.#conversation.stop(by);
    await this.#modern.stopListening(by);
    await this.#conversation.close(by);
    this.#onClose?.();
  }

  /** A message without a sign of its own belongs to the era that it answers or withdraws something of, else to the older one. */
  #eraOf(message: Json, headers: ProtocolHeaders | undefined): Era {
    if (isModernVersion(headers)) return 'modern';
    // An array that has one such message in it is refused as a whole: it can be a batch of no revision.
    if (Array.isArray(message)) return (message as readonly Json[]).some(isEnveloped) ? 'modern' : 'legacy';
    if (isEnveloped(message)) return 'modern';
    const { method, params } = isJsonObject(message) ? message : ({} as JsonObject);
    const withdrawn = method === 'notifications/cancelled' && params !== undefined && isJsonObject(params);
    return withdrawn && this.#modern.knows(params.requestId) ? 'modern' : 'legacy';
  }
}

/** Whether the header names a revision without sessions: the one that we serve, or one that we do not know. */
function isModernVersion(headers: ProtocolHeaders | undefined): boolean {
  const version = headers?.['mcp-protocol-version'];
  return version !== undefined && !isServedRevision(version);
}

function isEnveloped(message: Json): boolean {
  if (!isJsonObject(message)) return false;
  const { method, params } = message;
  if (method === 'server/discover') return true;
  const meta = params !== undefined && isJsonObject(params) ? params._meta : undefined;
  return meta !== undefined && isJsonObject(meta) && Object.hasOwn(meta, KEY.version);
}
