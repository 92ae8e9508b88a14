// What each agent has done before, as far as rules may ask for it: told from the entries of calls that were carried out, in their order. What cannot be
// kept is not forgotten in favour of something newer: it stays unknown, so a use counts as the first one and a shape as a new one.

import { actionId } from '../../domain/action.ts';
import type { Entry } from '../../domain/entry.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import type { HistoryFacts } from '../authorization.ts';
import { eventsOf } from '../lineage/recorded-place.ts';
import { argumentShape } from './argument-shape.ts';
import { ChainUses } from './chain-uses.ts';
import { Pace } from './pace.ts';

/** An agent and an action of it: more than any manifest has. */
export const USES_MAX = 50_000;
/** Shapes of one agent's calls of one action. Whoever has more makes them up, and hears that each is new. */
export const SHAPES_PER_USE_MAX = 64;
/** Calls that are being decided or carried out; the gate has a bound of its own. */
const PENDING_MAX = 4_096;

/** A call that is about to be decided. */
export interface AskedCall {
  readonly call: string;
  readonly at: number;
  readonly agent: string;
  readonly method: string;
  readonly server: string;
  readonly tool: string;
  readonly root: string;
  /** The agents from the root's to the parent's. */
  readonly above: readonly string[];
  readonly args: Json;
}

export interface HistoryTerms {
  /** Groups that rules ask about, each with its actions and for how long a use of one counts. */
  readonly used: ReadonlyMap<string, { readonly actions: ReadonlySet<string>; readonly withinMs: number }>;
  /** A short text for a shape. Nobody else can make one of a shape that he guesses. */
  readonly digest: (shape: string) => string;
}

interface Use {
  last: number;
  readonly pace: Pace;
  readonly shapes: Set<string>;
}

interface Pending {
  readonly key: string;
  readonly shape: string;
}

export class AgentHistory {
  readonly #terms: HistoryTerms;
  readonly #uses = new Map<string, Use>();
  readonly #chains: ChainUses;
  readonly #pending = new Map<string, Pending>();
  readonly #pendingOf = new Map<string, number>();
  /** Time does not go back. */
  #now = 0;
  /** When a use was not kept for want of room: since then whatever is not known may have been used. */
  #overflowed = Number.NEGATIVE_INFINITY;

  constructor(terms: HistoryTerms) {
    this.#terms = terms;
    this.#chains = new ChainUses(Math.max(0, ...[...terms.used.values()].map(({ withinMs }) => withinMs)));
  }

  /** What is known when a call is decided. From here on it counts among the calls of its agent, until an entry says what became of it. */
  ask(asked: AskedCall): HistoryFacts {
    const { call, agent, root, above } = asked;
    const now = this.#tick(asked.at);
    const action = actionId(asked.method, asked.server, asked.tool);
    const key = keyOf(agent, action);
    const shape = this.#terms.digest(argumentShape(asked.args));
    this.#forget(call);
    if (this.#pending.size < PENDING_MAX) {
      this.#pending.set(call, { key, shape });
      this.#pendingOf.set(key, (this.#pendingOf.get(key) ?? 0) + 1);
    }
    const use = this.#uses.get(key);
    // Those that are being decided at the same time count as well, or many at once would each be the only one.
    const rate = (use?.pace.rate(now) ?? 0) + Math.max(1, this.#pendingOf.get(key) ?? 0);
    const agents = [...above, agent];
    const used = (wasUsed: (action: string, withinMs: number) => boolean): string[] =>
      [...this.#terms.used]
        .filter(([, { actions, withinMs }]) => [...actions].some((one) => wasUsed(one, withinMs)))
        .map(([group]) => group)
        .sort();
    return {
      firstUse: use === undefined,
      newShape: use === undefined || !use.shapes.has(shape),
      rate,
      burst: Math.floor((rate * 100) / Math.max(1, use?.pace.peak(now) ?? 0)),
      agentUsed: used((one, withinMs) =>
        agents.some((name) => {
          const last = this.#uses.get(keyOf(name, one))?.last ?? this.#overflowed;
          return now - last < withinMs;
        }),
      ),
      chainUsed: used((one, withinMs) => this.#chains.used(agents[0] ?? agent, root, one, now, withinMs)),
    };
  }

  /** Takes in the next entry. */
  entry(entry: Entry): void {
    if (typeof entry.call !== 'string') return;
    if (entry.type === 'call.denial') return this.#forget(entry.call);
    if (entry.type !== 'call.intent') return;
    const pending = this.#pending.get(entry.call);
    this.#forget(entry.call);
    const [requested] = eventsOf(entry);
    if (requested?.type !== 'call.requested' || !isJsonObject(requested.principal)) return;
    // What a server asks of a client is not the agent's doing.
    if (isJsonObject(requested.relation) && requested.relation.kind === 'within') return;
    const { principal, method, server, tool, lineage } = requested;
    const agent = String(principal.agent);
    const action = actionId(String(method), String(server), String(tool));
    const at = this.#tick(Date.parse(entry.ts));
    this.#use(keyOf(agent, action), at, pending?.shape);
    if (!isJsonObject(lineage) || ![...this.#terms.used.values()].some(({ actions }) => actions.has(action))) return;
    const [first] = Array.isArray(lineage.agents) ? (lineage.agents as readonly Json[]) : [];
    this.#chains.note(typeof first === 'string' ? first : agent, String(lineage.root), action, at);
  }

  /** The ledger began anew: what was asked before is carried out no more. */
  forgetPending(): void {
    this.#pending.clear();
    this.#pendingOf.clear();
  }

  #use(key: string, at: number, shape: string | undefined): void {
    let use = this.#uses.get(key);
    if (use === undefined) {
      if (this.#uses.size >= USES_MAX) {
        this.#overflowed = at;
        return;
      }
      use = { last: at, pace: new Pace(), shapes: new Set() };
      this.#uses.set(key, use);
    }
    use.last = at;
    use.pace.note(at);
    if (shape !== undefined && use.shapes.size < SHAPES_PER_USE_MAX) use.shapes.add(shape);
  }

  #forget(call: string): void {
    const pending = this.#pending.get(call);
    if (pending === undefined) return;
    this.#pending.delete(call);
    const others = (this.#pendingOf.get(pending.key) ?? 1) - 1;
    if (others > 0) this.#pendingOf.set(pending.key, others);
    else this.#pendingOf.delete(pending.key);
  }

  #tick(at: number): number {
    this.#now = Math.max(this.#now, at);
    return this.#now;
  }

  /** What outlives a run. Chains and calls that are being decided do not. */
  toJson(): JsonObject {
    return {
      now: this.#now,
      overflowed: Number.isFinite(this.#overflowed) ? this.#overflowed : null,
      uses: [...this.#uses].map(([key, { last, pace, shapes }]) => [key, last, pace.toJson(), [...shapes]]),
    };
  }

  /** `kept` was written by `toJson`, and nobody else could have written it. */
  restore(kept: JsonObject): void {
    this.#now = kept.now as number;
    this.#overflowed = (kept.overflowed as number | null) ?? Number.NEGATIVE_INFINITY;
    for (const [key, last, pace, shapes] of kept.uses as readonly [string, number, Json, readonly string[]][])
      this.#uses.set(key, { last, pace: Pace.fromJson(pace), shapes: new Set(shapes) });
  }
}

function keyOf(agent: string, action: string): string {
  return `${agent} ${action}`;
}
