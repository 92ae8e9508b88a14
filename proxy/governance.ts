// Whether the gate is open, and under which generation of rules. It is shut until everything it needs has reported ready, and it falls shut
// when any of it fails. It does not know how to mend anything: whoever shut it, opens it.

import type { GovernanceSnapshot } from '../control-plane/authorization.ts';
import { type Denial, type DenialCode, deny } from '../domain/denial.ts';
import type { LiveGovernance } from './permit-checks.ts';

/** Who may shut the gate, in the order in which their reasons are told. */
export const GUARDS = ['operator', 'halt', 'ledger', 'revocations', 'servers', 'policy', 'engine'] as const;
export type Guard = (typeof GUARDS)[number];

export interface Shut {
  readonly guard: Guard;
  readonly code: DenialCode;
  readonly detail: string;
}

export class Governance {
  readonly #boot: string;
  readonly #shut = new Map<Guard, Shut>();
  readonly #listeners: ((shut: Shut | undefined) => void)[] = [];
  #epoch = 1;
  #revocation = 0;

  /** `boot` names this start of the gate. Every guard in `closed` has to open before the first call can pass. */
  constructor(boot: string, closed: readonly Guard[]) {
    this.#boot = boot;
    for (const guard of closed) this.#shut.set(guard, { guard, code: 'GOV_NOT_READY', detail: `${guard} not ready` });
  }

  get boot(): string {
    return this.#boot;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** The first reason for which the gate is shut, if it is. */
  get reason(): Shut | undefined {
    for (const guard of GUARDS) {
      const shut = this.#shut.get(guard);
      if (shut !== undefined) return shut;
    }
    return undefined;
  }

  isShutBy(guard: Guard): boolean {
    return this.#shut.has(guard);
  }

  /** The state to decide under, or why nothing can be decided. Read when it is needed, never kept. */
  snapshot(): GovernanceSnapshot | Denial {
    const shut = this.reason;
    if (shut !== undefined) return deny(shut.code, shut.detail);
    return { state: 'normal', epoch: this.#epoch, revocation: this.#revocation, boot: this.#boot };
  }

  /** The same state in the terms of the permit checks. */
  live(): LiveGovernance {
    const shut = (guard: Guard): boolean => this.isShutBy(guard);
    const policy = this.#shut.get('policy')?.code;
    return {
      ready: !shut('engine') && !shut('servers') && policy !== 'GOV_NOT_READY',
      halted: shut('operator') || shut('halt'),
      ledgerWritable: !shut('ledger'),
      revocationsFresh: !shut('revocations'),
      clockSane: true,
      policy: policy === undefined ? 'installed' : policy === 'GOV_POLICY_MISSING' ? 'missing' : 'invalid',
      epoch: this.#epoch,
      revocation: this.#revocation,
      boot: this.#boot,
    };
  }

  shut(guard: Guard, code: DenialCode, detail: string): void {
    this.#shut.set(guard, { guard, code, detail });
    this.#tell();
  }

  open(guard: Guard): void {
    if (this.#shut.delete(guard)) this.#tell();
  }

  /** The rules changed: permits and decisions of the generation before are void. */
  advanceEpoch(): void {
    this.#epoch += 1;
  }

  noteRevocation(number: number): void {
    this.#revocation = Math.max(this.#revocation, number);
  }

  onChange(listener: (shut: Shut | undefined) => void): void {
    this.#listeners.push(listener);
  }

  #tell(): void {
    const reason = this.reason;
    for (const listener of this.#listeners) listener(reason);
  }
}
