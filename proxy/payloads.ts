// What an execution commits to and the vault keeps: each text under a salt of its own, until the entry that names it is written.

import { commit } from '../ledger/vault.ts';
import type { Committed } from '../state-machines/execution-events.ts';
import type { GateCrypto, Payload } from './ports.ts';

const UTF8 = new TextEncoder();

export class Payloads {
  readonly #crypto: Pick<GateCrypto, 'sha256' | 'randomBytes'>;
  #kept: Payload[] = [];

  constructor(crypto: Pick<GateCrypto, 'sha256' | 'randomBytes'>) {
    this.#crypto = crypto;
  }

  /** One that was committed to already. */
  keep(payload: Payload): void {
    this.#kept.push(payload);
  }

  /** The commitment to a text, which is kept from now on. */
  commitTo(text: string): Committed {
    const bytes = UTF8.encode(text);
    const salt = this.#crypto.randomBytes(32);
    const commitment = commit(this.#crypto.sha256, salt, bytes);
    this.#kept.push({ commitment, salt, bytes });
    return { commitment, bytes: bytes.byteLength };
  }

  /** All that was kept since the last time: they go with the next entry. */
  take(): Payload[] {
    const kept = this.#kept;
    this.#kept = [];
    return kept;
  }
}
