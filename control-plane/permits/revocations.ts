// What has been revoked, in memory, in the order in which it was. A revocation is never taken back: whoever should act again gets a new
// id. Making one durable and bringing it here from a file or a neighbour is the adapter's.

import { type Denial, deny } from '../../domain/denial.ts';

/** In the order in which the gate asks. */
export const REVOCATION_KINDS = [
  'jti',
  'root',
  'node',
  'agent',
  'server',
  'tool',
  'policy',
  'key',
  'approval',
] as const;

export type RevocationKind = (typeof REVOCATION_KINDS)[number];

export interface Revocation {
  /** 1 for the first; each next one is greater by one. */
  readonly number: number;
  readonly kind: RevocationKind;
  /** A jti, call id, agent, server, `actionId(...)`, policy digest, key id or approval digest. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export class Revocations {
  readonly #revoked = new Map<RevocationKind, Set<string>>();
  readonly #log: Revocation[] = [];

  /** Number of the newest revocation known; 0 when there is none. */
  get number(): number {
    return this.#log.length;
  }

  /**
   * Takes in the next revocation. One that is known already changes nothing. A gap, or a known number with other content, means that we
   * do not know what is revoked: GOV_REVOCATION_STALE, and the caller must shut the gate.
   */
  apply(revocation: Revocation): Denial | undefined {
    const { number, kind, id } = revocation;
    const known = this.#log[number - 1];
    if (known !== undefined) {
      return known.kind === kind && known.id === id
        ? undefined
        : deny('GOV_REVOCATION_STALE', `revocation ${number} is known with other content`);
    }
    if (number !== this.number + 1) {
      return deny('GOV_REVOCATION_STALE', `revocation ${number} came, ${this.number + 1} is missing`);
    }
    if (!REVOCATION_KINDS.includes(kind))
      return deny('GOV_REVOCATION_STALE', `revocation ${number} is of an unknown kind`);
    this.#log.push(revocation);
    const ids = this.#revoked.get(kind);
    if (ids === undefined) this.#revoked.set(kind, new Set([id]));
    else ids.add(id);
    return undefined;
  }

  has(kind: RevocationKind, id: string): boolean {
    return this.#revoked.get(kind)?.has(id) === true;
  }
}
