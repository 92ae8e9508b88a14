// Who did too much of what goes wrong within a window, told from the entries of a ledger in their order and from nothing else: a gate that runs, one
// that starts again and whoever replays the ledger count with this one file and come to the same. Times are those of the entries.

import type { Entry } from '../../domain/entry.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { type AnomalyLimits, type Counts, limitsJson, type Misdeed, readLimits } from './limits.ts';
import { type Caller, type Counted, callerOf, countedInDenial, countedInEnding } from './misdeeds.ts';
import { Window } from './window.ts';

/** Somebody did too much of something. */
export interface Crossing {
  readonly kind: 'agent' | 'server';
  readonly id: string;
  readonly misdeed: Misdeed;
  /** How many there were within the window: as many as are too many. */
  readonly count: number;
  readonly windowMs: number;
  /** The entry that made it too many. */
  readonly seq: number;
}

/** Somebody who is set aside. `crossing` where this was counted here; `recorded` once an entry says it. */
export interface SetAside {
  readonly kind: 'agent' | 'server';
  readonly id: string;
  readonly crossing: Crossing | undefined;
  readonly recorded: boolean;
}

/** Executions that are open at once; no gate has as many. */
const OPEN_MAX = 200_000;

export class MisdeedCounts {
  #limits: AnomalyLimits | undefined;
  readonly #open = new Map<string, Caller>();
  /** By whom it is about, what it is and on whose call it was. */
  readonly #windows = new Map<string, Map<string, Window>>();
  readonly #aside = new Map<string, SetAside>();

  /** Everybody who is set aside now. */
  get aside(): readonly SetAside[] {
    return [...this.#aside.values()];
  }

  asideOf(kind: string, id: string): SetAside | undefined {
    return this.#aside.get(keyOf(kind, id));
  }

  /** Takes in the next entry. Names whoever is set aside by it, as far as nobody had said so. */
  entry(entry: Entry): readonly Crossing[] {
    const { type, kind, id, call } = entry;
    switch (type) {
      case 'policy.installed':
        this.#comesIntoForce(readLimits(entry.anomalies));
        return [];
      case 'quarantine.set': {
        if (!isKind(kind) || typeof id !== 'string') return [];
        this.#setAside({ kind, id, crossing: this.asideOf(kind, id)?.crossing, recorded: true });
        return [];
      }
      case 'quarantine.lifted':
        this.#aside.delete(keyOf(String(kind), String(id)));
        return [];
      case 'process.ended':
      case 'server.ended':
        // What the gate ended may have been asked for by anybody.
        return typeof entry.server === 'string' && (type === 'server.ended' || entry.by === 'itself')
          ? this.#count([{ kind: 'server', id: entry.server, misdeed: 'restarts' }], entry)
          : [];
      case 'call.intent': {
        const caller = callerOf(entry);
        if (caller !== undefined && this.#open.size < OPEN_MAX) this.#open.set(String(call), caller);
        return [];
      }
      case 'call.ending': {
        const caller = this.#open.get(String(call));
        this.#open.delete(String(call));
        return caller === undefined ? [] : this.#count(countedInEnding(entry, caller), entry);
      }
      case 'call.denial':
        return this.#count(countedInDenial(entry), entry);
      default:
        return [];
    }
  }

  /** What counts under other limits was never counted under these. */
  #comesIntoForce(limits: AnomalyLimits | undefined): void {
    if (limits === undefined || JSON.stringify(limits) === JSON.stringify(this.#limits)) return;
    this.#limits = limits;
    this.#windows.clear();
  }

  #setAside(aside: SetAside): void {
    const key = keyOf(aside.kind, aside.id);
    this.#aside.set(key, aside);
    this.#windows.delete(key);
  }

  #count(counted: readonly Counted[], { ts, seq }: Entry): readonly Crossing[] {
    const limits = this.#limits;
    if (limits === undefined) return [];
    const at = Date.parse(ts);
    return counted.flatMap((one) => {
      const crossing = this.#countOne(one, limits, at, seq);
      return crossing === undefined ? [] : [crossing];
    });
  }

  #countOne(counted: Counted, limits: AnomalyLimits, at: number, seq: number): Crossing | undefined {
    const { kind, id, misdeed, by } = counted;
    const counts: Counts = kind === 'agent' ? limits.agents : limits.servers;
    const limit = counts[misdeed];
    const key = keyOf(kind, id);
    // Whoever is set aside does nothing that could count, but what was on its way.
    if (limit === undefined || this.#aside.has(key)) return undefined;
    const { windowMs } = counts;
    // One agent alone never has a server set aside that others use too.
    const share = by !== undefined && limits.shared ? Math.ceil(limit / 2) : limit;
    const windows = this.#windows.get(key) ?? new Map<string, Window>();
    this.#windows.set(key, windows);
    const name = JSON.stringify(by === undefined ? [misdeed] : [misdeed, by]);
    const window = windows.get(name) ?? new Window();
    windows.set(name, window);
    window.add(at, share);
    let count = 0;
    for (const [other, theirs] of windows) {
      if (!other.startsWith(`["${misdeed}"`)) continue;
      const inTime = theirs.count(at, windowMs);
      if (inTime === 0) windows.delete(other);
      count += inTime;
    }
    if (count < limit) return undefined;
    const crossing: Crossing = { kind, id, misdeed, count, windowMs, seq };
    this.#setAside({ kind, id, crossing, recorded: false });
    return crossing;
  }

  /** Everything that is known, as it can be kept; what was made of it by `fromJson` goes on as this would. */
  toJson(): JsonObject {
    return {
      limits: this.#limits === undefined ? null : limitsJson(this.#limits),
      open: [...this.#open].map(([call, { agent, server, isQuestion }]) => [call, agent, server, isQuestion]),
      windows: [...this.#windows].flatMap(([key, windows]) =>
        [...windows].map(([name, window]) => [key, name, window.times]),
      ),
      aside: [...this.#aside.values()].map(({ kind, id, crossing, recorded }) => ({
        kind,
        id,
        recorded,
        crossing: crossing === undefined ? null : { ...crossing },
      })),
    };
  }

  /** `kept` was written by `toJson`, and nobody else could have written it. */
  static fromJson(kept: JsonObject): MisdeedCounts {
    const counts = new MisdeedCounts();
    counts.#limits = readLimits(kept.limits);
    for (const [call, agent, server, isQuestion] of kept.open as readonly [string, string, string, boolean][])
      counts.#open.set(call, { agent, server, isQuestion });
    for (const [key, name, times] of kept.windows as readonly [string, string, readonly number[]][]) {
      const windows = counts.#windows.get(key) ?? new Map<string, Window>();
      counts.#windows.set(key, windows.set(name, new Window(times)));
    }
    for (const { crossing, ...aside } of kept.aside as unknown as readonly (SetAside & { crossing: Json })[])
      counts.#aside.set(keyOf(aside.kind, aside.id), { ...aside, crossing: crossingOf(crossing) });
    return counts;
  }
}

function crossingOf(value: Json): Crossing | undefined {
  return isJsonObject(value) ? (value as unknown as Crossing) : undefined;
}

function isKind(value: Json | undefined): value is 'agent' | 'server' {
  return value === 'agent' || value === 'server';
}

function keyOf(kind: string, id: string): string {
  return `${kind}:${id}`;
}
