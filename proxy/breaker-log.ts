// What shut the gate and what opened it again, in the ledger. While the ledger itself is what is wrong, changes wait here and are recorded when it is
// back, before anything else is. That an operator halted the gate is recorded by whoever halts it.
// It also knows since when each guard stands as it does, for those who ask.

import type { EntryBody } from '../domain/entry.ts';
import type { GuardStanding } from '../state-machines/breaker.ts';
import { type BreakerChange, type Governance, GUARDS, type Guard } from './governance.ts';
import type { Clock, Recorder } from './ports.ts';
import { recordedText } from './recorded-text.ts';

/** Longer than any reason of ours; what a server says of its failure is longer. */
const DETAIL_CHARACTERS_MAX = 300;
/** Changes that wait for a ledger. Beyond that only what still holds is recorded when it is back. */
const WAITING_MAX = 64;

export interface BreakerLogPorts {
  readonly governance: Governance;
  readonly recorder: Recorder;
  readonly clock: Pick<Clock, 'now'>;
  /** A change could not be recorded though the ledger seemed well. The gate must shut until it can. */
  readonly onUnrecorded: (detail: string) => void;
}

export interface StandingSince extends GuardStanding {
  readonly guard: Guard;
  /** Milliseconds since 1970. */
  readonly since: number;
}

interface NumberedChange {
  readonly number: number;
  readonly body: EntryBody;
}

export class BreakerLog {
  readonly #ports: BreakerLogPorts;
  readonly #since = new Map<Guard, { state: string; code: string | undefined; since: number }>();
  /** In whatever order they came back: what the ledger did not take waits again. */
  #waiting: NumberedChange[] = [];
  #changes = 0;
  #ledgerWasShut = true;
  #closed = false;

  constructor(ports: BreakerLogPorts) {
    this.#ports = ports;
    this.#look();
    ports.governance.onRecord((change) => this.#changed(change));
    ports.governance.onChange(() => this.#look());
  }

  /** How each guard stands and since when, in the order in which reasons are told. */
  standings(): readonly StandingSince[] {
    const { governance, clock } = this.#ports;
    return GUARDS.map((guard) => ({
      guard,
      ...governance.standing(guard),
      since: this.#since.get(guard)?.since ?? clock.now(),
    }));
  }

  /** The gate ends: that its parts go is no news. */
  close(): void {
    this.#closed = true;
  }

  #changed(change: BreakerChange): void {
    if (this.#closed || change.guard === 'halt') return;
    this.#waiting.push(this.#numbered(change));
    this.#flush();
  }

  #numbered(change: BreakerChange): NumberedChange {
    this.#changes += 1;
    return { number: this.#changes, body: this.#bodyOf(change) };
  }

  #bodyOf(change: BreakerChange): EntryBody {
    const { guard } = change;
    const at = this.#ports.clock.now();
    if (change.change === 'opened') return { type: 'gate.opened', guard, at };
    return {
      type: 'gate.shut',
      guard,
      code: change.code,
      detail: recordedText(change.detail, DETAIL_CHARACTERS_MAX),
      at,
    };
  }

  #look(): void {
    const { governance, clock } = this.#ports;
    for (const guard of GUARDS) {
      const { state, reason } = governance.standing(guard);
      const known = this.#since.get(guard);
      if (known?.state === state && known.code === reason?.code) continue;
      this.#since.set(guard, { state, code: reason?.code, since: clock.now() });
    }
    this.#flush();
  }

  /** Everything is handed to the ledger in this tick, so that no intent can come before it. */
  #flush(): void {
    const { governance, recorder } = this.#ports;
    if (governance.isShutBy('ledger')) {
      this.#ledgerWasShut = true;
      if (this.#waiting.length > WAITING_MAX) this.#waiting = [];
      return;
    }
    this.#waiting.sort((one, other) => one.number - other.number);
    if (this.#ledgerWasShut) {
      this.#ledgerWasShut = false;
      this.#waiting.push(...this.#untold());
    }
    for (const change of this.#waiting.splice(0))
      recorder.append(change.body, []).catch((error: unknown) => {
        if (this.#closed) return;
        if (!governance.isShutBy('ledger')) this.#ports.onUnrecorded(String(error));
        if (governance.isShutBy('ledger') && this.#waiting.length < WAITING_MAX) this.#waiting.push(change);
      });
  }

  /**
   * How guards stand, where what waits does not say so last. The ledger was opened anew, and with it a reader forgets what was shut before; and what is
   * recorded late may have been made good meanwhile.
   */
  #untold(): NumberedChange[] {
    return this.standings().flatMap(({ guard, reason }) => {
      if (guard === 'halt' || reason?.code === 'GOV_NOT_READY') return [];
      const last = this.#waiting.findLast(({ body }) => body.guard === guard)?.body;
      const isTold = reason === undefined ? last?.type !== 'gate.shut' : last?.code === reason.code;
      if (isTold) return [];
      return this.#numbered(reason === undefined ? { change: 'opened', guard } : { change: 'shut', guard, ...reason });
    });
  }
}
