// What a ledger says is allowed no more: revocations and halts, as they stand at some entry of it. Known only from entries; it shares no code with
// the gate that enforced them.

import { actionId } from '../../domain/action.ts';
import type { Entry } from '../../domain/entry.ts';
import type { JsonObject } from '../../domain/json.ts';
import { readPermitText } from '../../domain/permit-text.ts';

/** What an execution is, as far as a revocation can mean it. */
export interface Revocable {
  readonly call: string;
  readonly root: string;
  readonly agent: string;
  readonly method: string;
  readonly server: string;
  readonly tool: string;
  /** The rounds that it goes on with. */
  readonly rounds: readonly string[];
}

export class RecordedAuthority {
  readonly #revoked = new Map<string, Map<string, number>>();
  #halted: number | undefined;
  /** The guards that shut the gate in this start, and where that is written. */
  readonly #shut = new Map<string, number>();

  /** Takes in an entry that changes it; any other leaves it as it is. */
  note(entry: Entry): void {
    const { type, seq, kind, id, guard } = entry;
    // Another start has guards of its own, and says itself which of them shut it.
    if (type === 'log.recovered') this.#shut.clear();
    if (type === 'gate.shut' && typeof guard === 'string') this.#shut.set(guard, seq);
    else if (type === 'gate.opened' && typeof guard === 'string') this.#shut.delete(guard);
    if (type === 'gate.halted') this.#halted = seq;
    else if (type === 'gate.resumed') this.#halted = undefined;
    // What a peer stopped here was revoked there: nothing new is under it.
    else if (
      (type === 'revocation.added' || type === 'peer.stopped') &&
      typeof kind === 'string' &&
      typeof id === 'string'
    ) {
      const known = this.#revoked.get(kind);
      if (known === undefined) this.#revoked.set(kind, new Map([[id, seq]]));
      else if (!known.has(id)) known.set(id, seq);
    }
  }

  /** Why nothing that is one of these, or below them, may begin now; undefined when nothing recorded speaks against it. */
  againstAny(executions: () => readonly Revocable[]): string | undefined {
    if (this.#revoked.size === 0) return undefined;
    return this.#first(
      executions().flatMap(({ call, root, agent, method, server, tool, rounds }): [string, string][] => [
        ['root', root],
        ...[call, ...rounds].map((node): [string, string] => ['node', node]),
        ['agent', agent],
        ['server', server],
        ['tool', actionId(method, server, tool)],
      ]),
    );
  }

  /** The same for what was decided about it: the policy, the permit and the key that signed it. */
  againstDecision(events: readonly JsonObject[]): string | undefined {
    if (this.#halted !== undefined) return `the gate was halted by entry ${this.#halted}`;
    for (const [guard, at] of this.#shut) return `the gate was shut by its guard ${guard} at entry ${at}`;
    if (this.#revoked.size === 0) return undefined;
    const allowed = events.find(({ type }) => type === 'decision.allowed');
    const verified = events.find(({ type }) => type === 'permit.verified');
    const named: [string, unknown][] = [
      ['policy', allowed?.policy],
      ['jti', verified?.jti],
    ];
    if (this.#revoked.has('key') || this.#revoked.has('approval')) {
      const text = readPermitText(typeof allowed?.permit === 'string' ? allowed.permit : '');
      named.push(['key', text.kid]);
      const { claims, problem } = text.payload();
      for (const approval of problem === undefined ? (claims?.pol.appr ?? []) : []) named.push(['approval', approval]);
    }
    return this.#first(named);
  }

  #first(named: readonly (readonly [kind: string, id: unknown])[]): string | undefined {
    for (const [kind, id] of named) {
      const at = typeof id === 'string' ? this.#revoked.get(kind)?.get(id) : undefined;
      if (at !== undefined) return `${kind} ${String(id)} was revoked by entry ${at}`;
    }
    return undefined;
  }
}
