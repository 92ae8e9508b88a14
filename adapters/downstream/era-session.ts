// One conversation, whatever the client speaks: bytes are parsed here once and strictly, and each message goes to the era that it belongs to.
// An era holds no state of the other; nothing a client sends pins it to one.

import type { DenialCode } from '../../domain/denial.ts';
import { parseStrictJson } from '../../domain/strict-json.ts';
import type { ClientSession, CloseReason, Delivery, Reply } from '../../proxy/client-port.ts';
import { denialData } from '../../proxy/client-view.ts';
import type { Enforcement } from '../../proxy/enforcement.ts';
import { errorMessage, RPC } from '../../proxy/jsonrpc.ts';
import { DEFAULT_JSON_LIMITS } from '../../proxy/limits.ts';
import { LegacySession, type LegacySessionOptions } from './legacy/legacy-session.ts';

export type EraSessionOptions = Omit<LegacySessionOptions, 'notify'> & { readonly onClose?: () => void };

export class EraSession implements ClientSession {
  readonly #legacy: LegacySession;
  readonly #onClose: (() => void) | undefined;
  #notify: Reply = () => {};

  constructor(gate: Enforcement, { onClose, ...options }: EraSessionOptions) {
    this.#onClose = onClose;
    this.#legacy = new LegacySession(gate, { ...options, notify: (json) => this.#notify(json) });
  }

  get revision(): string | undefined {
    return this.#legacy.revision;
  }

  onNotification(send: Reply): void {
    this.#notify = send;
  }

  async receive(message: Uint8Array, reply: Reply, _delivery?: Delivery): Promise<void> {
    const parsed = parseStrictJson(message, DEFAULT_JSON_LIMITS);
    if (parsed.ok) return this.#legacy.handle(parsed.value, message.byteLength, reply);
    const detail = `${parsed.reason} at byte ${parsed.offset}`;
    if (parsed.reason === 'too_large') return this.refuse('MESSAGE_TOO_LARGE', detail, reply);
    const call = await this.#legacy.unreadable(detail);
    const data = denialData('MESSAGE_MALFORMED', call);
    reply(errorMessage(null, RPC.parseError, `Parse error: ${parsed.reason}`, data));
  }

  refuse(code: DenialCode, detail: string, reply: Reply): Promise<void> {
    return this.#legacy.refuse(code, detail, reply);
  }

  async close(reason: CloseReason): Promise<void> {
    await this.#legacy.close(reason);
    this.#onClose?.();
  }
}
