// Servers and agents that were set aside: nothing goes to such a server and nothing is taken from such an agent until a person lifts it. This
// only remembers and answers; who puts something here also stops what runs (Enforcement.setAside), and whoever may lift it is not decided here.

import { type Denial, type DenialCode, deny } from '../domain/denial.ts';

export type QuarantineKind = 'server' | 'agent';

/** Why something was set aside. `code` is what its calls are denied with, `reason` is for the operator and may quote hostile text. */
export interface Quarantined {
  readonly kind: QuarantineKind;
  readonly id: string;
  readonly code: Extract<DenialCode, 'SERVER_UNAPPROVED' | 'SERVER_QUARANTINED' | 'AGENT_QUARANTINED'>;
  readonly reason: string;
}

export class Quarantine {
  readonly #byKey = new Map<string, Quarantined>();

  /** What was said of it before is replaced. */
  put(quarantined: Quarantined): void {
    this.#byKey.set(keyOf(quarantined.kind, quarantined.id), quarantined);
  }

  lift(kind: QuarantineKind, id: string): void {
    this.#byKey.delete(keyOf(kind, id));
  }

  of(kind: QuarantineKind, id: string): Quarantined | undefined {
    return this.#byKey.get(keyOf(kind, id));
  }

  all(): readonly Quarantined[] {
    return [...this.#byKey.values()];
  }

  /** Why a call of this agent to this server may not go; undefined where nothing is set aside. */
  refusal(server: string, agent: string): Denial | undefined {
    const found = this.of('agent', agent) ?? this.of('server', server);
    return found === undefined ? undefined : deny(found.code, found.reason);
  }
}

function keyOf(kind: QuarantineKind, id: string): string {
  return `${kind}:${id}`;
}
