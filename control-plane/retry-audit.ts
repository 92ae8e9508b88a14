// Whether what was denied because it may have run before says rightly what that was, told from the entries of a ledger: an earlier call of the same agent
// to the same tool, with arguments as long, that ended without anybody knowing whether it ran. Whether the arguments are the same is not told here:
// entries only commit to them (see cli/retries-again.ts). A call of a gate beside is in another ledger, and is counted as elsewhere.

import { TOOL_METHOD } from '../domain/action.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import type { Entry } from '../domain/entry.ts';
import { isJsonObject, type Json } from '../domain/json.ts';
import { mayHaveRun, type Outcome } from '../domain/outcome.ts';
import { EndedCalls } from './lineage/ended-calls.ts';
import { eventsOf } from './lineage/recorded-place.ts';

export interface RetryFinding {
  readonly seq: number;
  readonly call: string;
  readonly detail: string;
}

const FINDINGS_MAX = 1_000;
/** Of a ledger with more, the oldest count as elsewhere. */
const UNKNOWN_REMEMBERED = 65_536;
/** What a denial says that names a call. */
const NAMES = /^(\S{1,80}) ended with ([A-Z_]{1,64})$/;
/** The denials that name none: nobody can be let through where it is not known what waits. */
const NAMES_NONE = ['too many calls wait for a person', 'what gates beside this one know cannot be read'];

interface Named {
  readonly seq: number;
  readonly call: string;
  readonly same: string;
  readonly code: string;
}

interface Ended {
  readonly same: string;
  readonly code: Json | undefined;
  readonly isRecovery: boolean;
}

export class RetryAudit {
  readonly findings: RetryFinding[] = [];
  /** How many calls were denied because they may have run before. */
  denied = 0;
  /** Of those, by a call that this ledger does not tell of, or by none that is named. */
  elsewhere = 0;
  /** What is under way, and which denials name it. */
  readonly #open = new Map<string, { readonly same: string | undefined; readonly named: Named[] }>();
  readonly #unknown = new Map<string, Ended>();
  readonly #known = new EndedCalls();
  readonly #missing = new EndedCalls();

  entry(entry: Entry): void {
    const { type, call } = entry;
    if (typeof call !== 'string') return;
    if (type === 'call.intent') {
      if (this.#missing.has(call)) this.#find(entry.seq, call, 'it was named as an earlier call before it began');
      this.#open.set(call, { same: sameAsFarAsTold(entry), named: [] });
    } else if (type === 'call.ending') this.#ends(entry, call);
    else if (type === 'call.denial') this.#isDenied(entry, call);
  }

  #ends(entry: Entry, call: string): void {
    const open = this.#open.get(call);
    this.#open.delete(call);
    this.#known.add(call);
    if (open === undefined) return;
    const events = eventsOf(entry);
    // The entry is read as it is: whatever is no outcome of ours tells nothing, and counts as one of which nobody knows.
    const outcome = isJsonObject(entry.outcome) ? (entry.outcome as unknown as Outcome) : undefined;
    const { same, named } = open;
    if (same !== undefined && (outcome === undefined || mayHaveRun(outcome, events))) {
      const isRecovery = events.some((event) => event.type === 'gate.restarted');
      this.#unknown.set(call, { same, code: outcome?.code, isRecovery });
      const [oldest] = this.#unknown.keys();
      if (this.#unknown.size > UNKNOWN_REMEMBERED && oldest !== undefined) this.#unknown.delete(oldest);
    }
    for (const one of named) this.#compare(one, call);
  }

  #isDenied(entry: Entry, call: string): void {
    this.#known.add(call);
    if (entry.code !== 'RETRY_OF_UNKNOWN') return;
    this.denied += 1;
    const same = sameAsFarAsTold(entry);
    if (same === undefined) return this.#find(entry.seq, call, 'only a call of a tool can be made again');
    const { detail } = eventsOf(entry).find(({ type }) => type === 'decision.denied') ?? {};
    const said = typeof detail === 'string' ? detail : '';
    const [, earlier, code = ''] = NAMES.exec(said) ?? [];
    if (earlier === undefined) {
      this.elsewhere += 1;
      if (!NAMES_NONE.some((start) => said.startsWith(start)))
        this.#find(entry.seq, call, 'it does not say which call may have run before');
      return;
    }
    const named = { seq: entry.seq, call, same, code };
    const open = this.#open.get(earlier);
    // It is remembered before its ending is written.
    if (open !== undefined) open.named.push(named);
    else if (this.#unknown.has(earlier) || this.#known.has(earlier)) this.#compare(named, earlier);
    else {
      this.elsewhere += 1;
      this.#missing.add(earlier);
    }
  }

  #compare({ seq, call, same, code }: Named, earlier: string): void {
    const ended = this.#unknown.get(earlier);
    if (ended === undefined) return this.#find(seq, call, `of ${earlier} it is known how it ended`);
    if (ended.same !== same) return this.#find(seq, call, `${earlier} was another call`);
    // What was kept before a crash says more than what recovery found.
    if (ended.code !== code && !ended.isRecovery)
      this.#find(seq, call, `${earlier} ended with ${String(ended.code ?? 'nothing')}, not with ${code}`);
  }

  #find(seq: number, call: string, detail: string): void {
    if (this.findings.length < FINDINGS_MAX) this.findings.push({ seq, call, detail });
  }
}

/** What entries tell of what makes two calls the same one; undefined for what is no call of a tool by a client. */
export function sameAsFarAsTold(entry: Entry): string | undefined {
  const [requested] = eventsOf(entry);
  if (requested?.type !== 'call.requested' || requested.method !== TOOL_METHOD) return undefined;
  const { principal, server, tool, args, relation } = requested;
  if (isJsonObject(relation) && relation.kind === 'within') return undefined;
  const agent = isJsonObject(principal) ? principal.agent : undefined;
  const bytes = isJsonObject(args) ? args.bytes : undefined;
  return canonicalJson([agent ?? null, server ?? null, tool ?? null, bytes ?? null]);
}
