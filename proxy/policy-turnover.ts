// The moment in which one policy takes over from another. A call is decided and reaches its server under one policy: while the next one takes
// over, new decisions wait, and calls that are decided already get through the door first. It lets nothing pass by itself: a call that
// is too slow for that meets the new policy at the door and is denied there.

import type { Clock } from './ports.ts';

/** How long a takeover waits for calls on their way. Longer than a decision and its entry take, shorter than a client notices. */
const ON_THEIR_WAY_MS = 1_000;

export class PolicyTurnover {
  readonly #clock: Clock;
  /** Calls between their decision and the door. */
  #onTheirWay = 0;
  #held: Promise<void> | undefined;
  #onNobody: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when a decision may be asked for. The returned function is called when the call is through the door, or will never be. */
  async enter(): Promise<() => void> {
    while (this.#held !== undefined) await this.#held;
    this.#onTheirWay += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#onTheirWay -= 1;
      if (this.#onTheirWay === 0) this.#onNobody();
    };
  }

  /** Keeps decisions waiting; resolves when nobody is on the way any more, or should not be waited for. The returned function lets them go. */
  async hold(): Promise<() => void> {
    while (this.#held !== undefined) await this.#held;
    let letGo: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    this.#held = held;
    if (this.#onTheirWay > 0) {
      await new Promise<void>((resolve) => {
        const stop = this.#clock.timer(ON_THEIR_WAY_MS, resolve);
        this.#onNobody = () => {
          stop();
          resolve();
        };
      });
    }
    this.#onNobody = () => {};
    return () => {
      if (this.#held === held) this.#held = undefined;
      letGo();
    };
  }
}
