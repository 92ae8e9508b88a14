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
  /** `counts` where it is not said: what a person lifts. */
  readonly cause?: QuarantineCause;
}

/** Who sets something aside lifts what he said, and nothing that was said for another cause. */
export type QuarantineCause = 'approval' | 'drift' | 'environment' | 'counts';

export class Quarantine {
  readonly #byKey = new Map<string, Map<QuarantineCause, Quarantined>>();

  /** What was said of it before for this cause is replaced. */
  put(quarantined: Quarantined): void {
    const key = keyOf(quarantined.kind, quarantined.id);
    const causes = this.#byKey.get(key) ?? new Map<QuarantineCause, Quarantined>();
    this.#byKey.set(key, causes.set(quarantined.cause ?? 'counts', quarantined));
  }

  /** Lifts what was said for this cause; what was said for another one stays. */
  lift(kind: QuarantineKind, id: string, cause: QuarantineCause = 'counts'): void {
    const key = keyOf(kind, id);
    const causes = this.#byKey.get(key);
    causes?.delete(cause);
    if (causes?.size === 0) this.#byKey.delete(key);
  }

  /** Of several causes the one that was said first. */
  of(kind: QuarantineKind, id: string): Quarantined | undefined {
    return this.#byKey.get(keyOf(kind, id))?.values().next().value;
  }

  all(): readonly Quarantined[] {
    return [...this.#byKey.values()].flatMap((causes) => [...causes.values()]);
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
