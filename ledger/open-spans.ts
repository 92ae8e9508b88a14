// Which entries wait for their counterpart: an intent without an ending is a call that may have run. The ledger knows of it only that
// some types open a span, others close it, and one field names it.

import type { Entry } from '../domain/entry.ts';
import type { Json } from '../domain/json.ts';

export interface SpanRule {
  readonly opens: readonly string[];
  readonly closes: readonly string[];
  /** The field that both carry. */
  readonly key: string;
}

/** Spans of the gate: a call from its intent to its ending. */
export const CALL_SPANS: SpanRule = { opens: ['call.intent'], closes: ['call.ending', 'call.denial'], key: 'call' };

export interface OpenSpan<Place> {
  readonly key: string;
  readonly place: Place;
}

/** The open spans of a log. `Place` is whatever leads back to the entry. */
export class OpenSpans<Place> {
  readonly #rule: SpanRule;
  readonly #open = new Map<string, Place>();

  constructor(rule: SpanRule) {
    this.#rule = rule;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Takes up a span that was open when the log was last closed. */
  open(key: string, place: Place): void {
    this.#open.set(key, place);
  }

  /** Whether an entry of this type and key would close a span that is open. */
  closes(type: string, key: Json | undefined): boolean {
    return typeof key === 'string' && this.#open.has(key) && this.#rule.closes.includes(type);
  }

  /** Whether an entry of this type ends something, or says that it never began. */
  isLast(type: string): boolean {
    return this.#rule.closes.includes(type);
  }

  note(type: string, key: Json | undefined, place: Place): void {
    if (typeof key !== 'string') return;
    if (this.#rule.opens.includes(type)) this.#open.set(key, place);
    else if (this.#rule.closes.includes(type)) this.#open.delete(key);
  }

  noteEntry(entry: Entry, place: Place): void {
    this.note(entry.type, entry[this.#rule.key], place);
  }

  /** In the order in which they opened. */
  list(): readonly OpenSpan<Place>[] {
    return [...this.#open].map(([key, place]) => ({ key, place }));
  }
}
