// Whether the gate is open, and under which generation of rules. It is shut until everything it needs has reported ready, and it falls shut
// when any of it fails: state-machines/breaker.machine.ts says how. It does not know how to mend anything: whoever shut it, opens it.

import type { GovernanceSnapshot } from '../control-plane/authorization.ts';
import { type Denial, type DenialCode, deny } from '../domain/denial.ts';
import { type BreakerFact, GUARDS, type Guard, WAYS } from '../state-machines/breaker.machine.ts';
import {
  type Breaker,
  type BreakerEvent,
  beginBreaker,
  firstShut,
  type GuardStanding,
  stepBreaker,
} from '../state-machines/breaker.ts';
import type { LiveGovernance } from './permit-checks.ts';

export { GUARDS, type Guard };

export interface Shut {
  readonly guard: Guard;
  readonly code: DenialCode;
  readonly detail: string;
}

/** A change that belongs into the ledger. */
export type BreakerChange =
  | { readonly change: 'shut'; readonly guard: Guard; readonly code: DenialCode; readonly detail: string }
  | { readonly change: 'opened'; readonly guard: Guard };

/** What a person has to mend before it opens. */
const HELD: ReadonlySet<DenialCode> = new Set(['GOV_POLICY_MISSING', 'GOV_POLICY_INVALID']);

export class Governance {
  readonly #boot: string;
  #breaker: Breaker = beginBreaker();
  readonly #listeners: ((shut: Shut | undefined) => void)[] = [];
  #onRecord: (change: BreakerChange) => void = () => {};
  #epoch = 1;
  #revocation = 0;

  /** `boot` names this start of the gate. Every guard in `closed` has to open before the first call can pass. */
  constructor(boot: string, closed: readonly Guard[]) {
    this.#boot = boot;
    for (const guard of GUARDS) if (!closed.includes(guard)) this.#apply({ guard, fact: 'opened' });
  }

  get boot(): string {
    return this.#boot;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** The first reason for which the gate is shut, if it is. */
  get reason(): Shut | undefined {
    const first = firstShut(this.#breaker);
    return first === undefined ? undefined : shutOf(first.guard, first.standing);
  }

  /** How each guard stands. */
  standing(guard: Guard): GuardStanding {
    return this.#breaker[guard];
  }

  /** The same, but for the moment after the gate stood still: that is no reason against what was let through before. */
  get standingReason(): Shut | undefined {
    const first = firstShut(this.#breaker, 'stall');
    return first === undefined ? undefined : shutOf(first.guard, first.standing);
  }

  isShutBy(guard: Guard): boolean {
    return this.#breaker[guard].state !== 'open';
  }

  /** The state to decide under, or why nothing can be decided. Read when it is needed, never kept. */
  snapshot(): GovernanceSnapshot | Denial {
    return this.#snapshotUnless(this.reason);
  }

  /** The same for what has to pass the door anyway, where the moment after a stall is waited for. */
  standingSnapshot(): GovernanceSnapshot | Denial {
    return this.#snapshotUnless(this.standingReason);
  }

  #snapshotUnless(shut: Shut | undefined): GovernanceSnapshot | Denial {
    if (shut !== undefined) return deny(shut.code, shut.detail);
    return { state: 'normal', epoch: this.#epoch, revocation: this.#revocation, boot: this.#boot };
  }

  /** The same state in the terms of the permit checks. */
  live(): LiveGovernance {
    const shut = (guard: Guard): boolean => this.isShutBy(guard);
    const policy = this.#breaker.policy.reason?.code;
    return {
      stalled: shut('stall'),
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
    this.#apply({ guard, fact: wayOf(guard, code), reason: { code, detail } });
  }

  /** Throws a Defect for a guard that is broken: see WAYS. */
  open(guard: Guard): void {
    this.#apply({ guard, fact: 'opened' });
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

  /** Who records changes; called before the listeners are, in the tick of the change. There is one. */
  onRecord(record: (change: BreakerChange) => void): void {
    this.#onRecord = record;
  }

  #apply(event: BreakerEvent): void {
    const [breaker, effects] = stepBreaker(this.#breaker, event);
    this.#breaker = breaker;
    const { guard } = event;
    // What is recorded is queued for the ledger before anybody who was told can bring an intent.
    for (const effect of effects) {
      if (effect === 'record_opened') this.#onRecord({ change: 'opened', guard });
      else if (effect === 'record_shut' && event.fact !== 'opened')
        this.#onRecord({ change: 'shut', guard, ...event.reason });
    }
    if (effects.includes('tell')) {
      const reason = this.reason;
      for (const listener of this.#listeners) listener(reason);
    }
  }
}

function shutOf(guard: Guard, { reason }: GuardStanding): Shut {
  const { code, detail } = reason ?? { code: 'GOV_NOT_READY', detail: guard };
  return { guard, code, detail };
}

/** How the gate opens again that this guard shuts for this reason. */
function wayOf(guard: Guard, code: DenialCode): Exclude<BreakerFact, 'opened'> {
  const [first, ...others] = WAYS[guard];
  return HELD.has(code) && others.includes('held') ? 'held' : (first ?? 'broken');
}
