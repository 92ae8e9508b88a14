// Entries as a ledger has them of calls that nobody made: for what is told from entries alone.

import type { Entry } from '../../domain/entry.ts';
import type { JsonObject } from '../../domain/json.ts';

export interface RecordedCallOptions {
  readonly agent?: string;
  readonly server?: string;
  readonly tool?: string;
  readonly method?: string;
  readonly root?: string;
  /** From the root's to the parent's. */
  readonly above?: readonly string[];
  /** None are told of otherwise. */
  readonly committed?: { readonly commitment: string; readonly bytes: number };
  /** It is asked by a server, within that call. */
  readonly within?: string;
}

/** A ledger that is written by hand: each entry is the next one. */
export class WrittenLedger {
  readonly entries: Entry[] = [];
  #calls = 0;

  /** An entry of any type, at that moment. */
  write(at: number, body: JsonObject & { readonly type: string }): Entry {
    const seq = this.entries.length;
    const header = {
      v: 1,
      log: 'test/log',
      seq,
      prev: null,
      epoch: 1,
      ts: new Date(at).toISOString(),
      mono: 0,
    } as const;
    const entry: Entry = { ...header, ...body };
    this.entries.push(entry);
    return entry;
  }

  nextCall(): string {
    this.#calls += 1;
    return `call-${this.#calls}`;
  }

  intent(at: number, options: RecordedCallOptions = {}, call = this.nextCall()): Entry {
    return this.write(at, { type: 'call.intent', call, events: [requested(call, at, options)] });
  }

  denial(at: number, code: string, options: RecordedCallOptions = {}): Entry {
    const call = this.nextCall();
    return this.write(at, { type: 'call.denial', call, code, events: [requested(call, at, options)] });
  }

  ending(at: number, call: string, outcome: JsonObject): Entry {
    return this.write(at, { type: 'call.ending', call, outcome, events: [] });
  }

  /** A call with its ending: the last of its two entries. */
  ended(at: number, outcome: JsonObject, options: RecordedCallOptions = {}): readonly Entry[] {
    const intent = this.intent(at, options);
    return [intent, this.ending(at, String(intent.call), outcome)];
  }
}

function requested(call: string, at: number, options: RecordedCallOptions): JsonObject {
  const {
    agent = 'coder',
    server = 'fs',
    tool = 'read',
    method = 'tools/call',
    root = call,
    above = [],
    within,
    committed = null,
  } = options;
  return {
    type: 'call.requested',
    at,
    call,
    method,
    server,
    tool,
    principal: { agent, roles: [], root: true, authentication: 'local', connection: 'sha256:' },
    args: committed,
    lineage: { root, node: call, parent: above.length === 0 ? null : root, depth: above.length, agents: [...above] },
    ...(within === undefined ? {} : { relation: { kind: 'within', call: within } }),
  };
}
