// Whether whoever did too much was set aside, and nobody else, told from the entries of a ledger by counting them again; and whether anything was
// carried out with somebody who was set aside. Who was set aside at another gate is believed.

import type { Entry } from '../../domain/entry.ts';
import { isJsonObject } from '../../domain/json.ts';
import { eventsOf } from '../lineage/recorded-place.ts';
import { type Crossing, MisdeedCounts } from './misdeed-counts.ts';
import { callerOf } from './misdeeds.ts';

export interface QuarantineFinding {
  readonly seq: number;
  readonly kind: string;
  readonly id: string;
  readonly detail: string;
}

const FINDINGS_MAX = 1_000;
/** Entries that a gate may have on their way when somebody is set aside; after that it has been said. */
const ON_THE_WAY_MAX = 8_192;

export class QuarantineAudit {
  readonly findings: QuarantineFinding[] = [];
  /** How often somebody was set aside for what this ledger counts. */
  set = 0;
  lifted = 0;
  readonly #counts = new MisdeedCounts();
  /** Counted, and not said yet. */
  readonly #due = new Map<string, Crossing>();
  /** Who is set aside, since which entry. */
  readonly #aside = new Map<string, number>();
  /** Began with somebody who was set aside. */
  readonly #against = new Map<string, { readonly seq: number; readonly kind: string; readonly id: string }>();
  #started = 0;

  entry(entry: Entry): void {
    const { type, seq } = entry;
    if (type === 'quarantine.set') this.#isSet(entry);
    for (const crossing of this.#counts.entry(entry)) this.#due.set(keyOf(crossing.kind, crossing.id), crossing);
    switch (type) {
      case 'log.recovered':
        this.#started = seq;
        return;
      case 'quarantine.lifted': {
        this.lifted += 1;
        const { kind, id } = entry;
        if (!this.#aside.delete(keyOf(kind, id))) this.#find(seq, kind, id, 'it was not set aside');
        return;
      }
      case 'call.intent':
        return this.#begins(entry);
      case 'call.ending':
        return this.#ends(entry);
    }
  }

  #isSet({ seq, kind, id, cause, counted }: Entry): void {
    const key = keyOf(kind, id);
    this.#aside.set(key, seq);
    const due = this.#due.get(key);
    this.#due.delete(key);
    if (cause !== 'counts') return;
    this.set += 1;
    if (due === undefined) return this.#find(seq, kind, id, 'nothing that is recorded is too much');
    const { misdeed, count, windowMs } = due;
    const said = isJsonObject(counted) ? counted : {};
    const isSame =
      said.misdeed === misdeed && said.count === count && said.windowMs === windowMs && said.seq === due.seq;
    if (!isSame)
      this.#find(seq, kind, id, `counted again: ${count} ${misdeed} within ${windowMs} ms, up to entry ${due.seq}`);
  }

  #begins(entry: Entry): void {
    const caller = callerOf(entry);
    if (caller === undefined) return;
    for (const [kind, id] of [
      ['agent', caller.agent],
      ['server', caller.server],
    ] as const) {
      const key = keyOf(kind, id);
      const due = this.#due.get(key);
      if (due !== undefined && (this.#started > due.seq || entry.seq - due.seq > ON_THE_WAY_MAX)) {
        this.#find(entry.seq, kind, id, `it did too much up to entry ${due.seq}, and was not set aside`);
        this.#due.delete(key);
      }
      if (this.#aside.has(key)) this.#against.set(String(entry.call), { seq: entry.seq, kind, id });
    }
  }

  #ends(entry: Entry): void {
    const against = this.#against.get(String(entry.call));
    if (against === undefined) return;
    this.#against.delete(String(entry.call));
    const isRecovery = eventsOf(entry).some((event) => event.type === 'gate.restarted');
    const dispatched = !isJsonObject(entry.outcome) || entry.outcome.dispatched !== false;
    // A gate that went down knows of what it left only that it may have been carried out.
    if (dispatched && !isRecovery) this.#find(against.seq, against.kind, against.id, 'it was set aside, and went on');
  }

  #find(seq: number, kind: unknown, id: unknown, detail: string): void {
    if (this.findings.length < FINDINGS_MAX) this.findings.push({ seq, kind: String(kind), id: String(id), detail });
  }
}

function keyOf(kind: unknown, id: unknown): string {
  return `${String(kind)}:${String(id)}`;
}
