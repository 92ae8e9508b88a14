// One timer for everything that runs: has each call looked at anew every second, at once when the gate falls shut, and at once after the gate stood still,
// because while nothing ran here no deadline, no revocation and no cancellation was enforced. Until what waited meanwhile was heard the gate is shut:
// that takes hundredths of a second, and who may wait that long waits. While nothing is in flight there is no timer.

import type { Governance } from '../governance.ts';
import type { Clock } from '../ports.ts';

/** How often it is looked whether the loop runs. Finer than what counts as a stall, and too seldom to cost anything. */
const PROBE_MS = 100;
/** So many probes later everything that runs is looked at anew. */
const PROBES_PER_ROUND = 10;
/** A timer that is later than this: the gate stood still. */
export const STALL_MS = 250;
/** The clock went on so much further than time did: the machine slept, or somebody set its clock. */
export const CLOCK_JUMP_MS = 1_000;
/** After a stall: so many probes in a row that are not late, so far apart, and the gate opens again. What had waited was heard by then. */
const SMOOTH_PROBE_MS = 20;
const SMOOTH_PROBES = 2;
/** How long anybody waits for that. Who has waited so long is denied. */
const PATIENCE_MS = 5_000;

/** What can be looked at anew. */
export interface Guarded {
  /** Stops it if it must not go on. `unseenMs`: so much time passed that the monotonic clock did not see. Never throws. */
  recheck(unseenMs: number): void;
}

export interface WatchdogPorts {
  readonly clock: Clock;
  readonly governance: Pick<Governance, 'shut' | 'open' | 'onChange'>;
  /** Everything that is in flight. */
  readonly calls: () => ReadonlySet<Guarded>;
}

export class Watchdog {
  readonly #ports: WatchdogPorts;
  #armed = false;
  #dueAt = 0;
  #wallAt = 0;
  #monotonicAt = 0;
  #probes = 0;
  #stalled: { smooth: number; readonly at: number; readonly over: Promise<void>; go: () => void } | undefined;
  #gaveUp = false;
  #looking = false;

  constructor(ports: WatchdogPorts) {
    this.#ports = ports;
    ports.governance.onChange((shut) => {
      // Whoever shuts the gate may be about to stop calls for a better reason, in this very tick.
      if (shut !== undefined && shut.guard !== 'stall') queueMicrotask(() => this.#lookAtAll(0));
    });
  }

  /** Something is in flight. */
  watch(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#probes = 0;
    this.#arm(PROBE_MS);
  }

  /** Resolves when the gate runs smoothly, or has not done so for too long; undefined when nothing is to be waited for. */
  smooth(): Promise<void> | undefined {
    return this.#gaveUp ? undefined : this.#stalled?.over;
  }

  get isStalled(): boolean {
    return this.#stalled !== undefined;
  }

  #arm(ms: number): void {
    const { clock } = this.#ports;
    this.#monotonicAt = clock.monotonic();
    this.#wallAt = clock.now();
    this.#dueAt = this.#monotonicAt + ms;
    clock.timer(ms, () => this.#probe());
  }

  #probe(): void {
    const { clock, calls } = this.#ports;
    const monotonic = clock.monotonic();
    const lateMs = monotonic - this.#dueAt;
    const unseenMs = clock.now() - this.#wallAt - (monotonic - this.#monotonicAt);
    const jumpedMs = unseenMs > CLOCK_JUMP_MS ? unseenMs : 0;
    this.#probes += 1;
    if (lateMs > STALL_MS || jumpedMs > 0) this.#stoodStill(Math.max(0, lateMs) + jumpedMs, jumpedMs, monotonic);
    else if (this.#stalled !== undefined) this.#ranOn(monotonic);
    else if (this.#probes >= PROBES_PER_ROUND) {
      this.#probes = 0;
      this.#lookAtAll(0);
    }
    this.#armed = this.#stalled !== undefined || calls().size > 0;
    if (this.#armed) this.#arm(this.#stalled === undefined ? PROBE_MS : SMOOTH_PROBE_MS);
  }

  #stoodStill(ms: number, jumpedMs: number, now: number): void {
    const { governance, calls } = this.#ports;
    if (this.#stalled === undefined) {
      let go: () => void = () => {};
      const over = new Promise<void>((resolve) => {
        go = resolve;
      });
      this.#stalled = { smooth: 0, at: now, over, go };
    }
    this.#stalled.smooth = 0;
    governance.shut(
      'stall',
      'GOV_STALLED',
      `it stood still for ${Math.round(ms)} ms with ${calls().size} call(s) in flight`,
    );
    this.#lookAtAll(jumpedMs);
    this.#loseHeart(now);
  }

  #ranOn(now: number): void {
    const { governance } = this.#ports;
    const stalled = this.#stalled;
    if (stalled === undefined) return;
    stalled.smooth += 1;
    if (stalled.smooth < SMOOTH_PROBES) return this.#loseHeart(now);
    // What was cancelled or revoked while nothing ran here has been heard by now.
    this.#lookAtAll(0);
    this.#stalled = undefined;
    this.#gaveUp = false;
    this.#probes = 0;
    governance.open('stall');
    stalled.go();
  }

  /** Whoever waits is told that it has been too long, and finds the gate shut. */
  #loseHeart(now: number): void {
    const stalled = this.#stalled;
    if (stalled === undefined || now - stalled.at < PATIENCE_MS) return;
    this.#gaveUp = true;
    stalled.go();
  }

  #lookAtAll(unseenMs: number): void {
    // Stopping one may shut the gate, which has all looked at anew: that happens after this.
    if (this.#looking) return;
    this.#looking = true;
    try {
      for (const call of [...this.#ports.calls()]) call.recheck(unseenMs);
    } finally {
      this.#looking = false;
    }
  }
}
