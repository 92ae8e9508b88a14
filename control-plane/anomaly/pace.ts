// How often something is done: in the last minute, and in the busiest minute before. Kept in whole seconds and whole minutes, so that what is kept
// does not grow with what is done.

import type { Json } from '../../domain/json.ts';

const SECOND = 1_000;
const MINUTE = 60_000;
const SECONDS = 60;

type Bucket = [start: number, count: number];

export class Pace {
  /** The seconds of the last minute in which there was something. */
  #seconds: Bucket[] = [];
  /** The last two minutes of the clock in which there was something: they can lie within the last minute still. */
  #minutes: Bucket[] = [];
  #peak = 0;

  /** `at` is not before any moment that was noted before. */
  note(at: number): void {
    increase(this.#seconds, Math.floor(at / SECOND));
    increase(this.#minutes, Math.floor(at / MINUTE));
    this.#seconds = this.#seconds.filter(([second]) => second > Math.floor(at / SECOND) - SECONDS);
    this.#forget(at);
  }

  /** In the last minute, by whole seconds. */
  rate(now: number): number {
    const first = Math.floor(now / SECOND) - SECONDS;
    return this.#seconds.reduce((sum, [second, count]) => sum + (second > first ? count : 0), 0);
  }

  /** In the busiest minute of the clock that was over before the last minute began. */
  peak(now: number): number {
    const before = Math.floor(now / MINUTE) - 1;
    return this.#minutes.reduce(
      (peak, [minute, count]) => (minute < before ? Math.max(peak, count) : peak),
      this.#peak,
    );
  }

  #forget(now: number): void {
    this.#peak = this.peak(now);
    const before = Math.floor(now / MINUTE) - 1;
    this.#minutes = this.#minutes.filter(([minute]) => minute >= before);
  }

  toJson(): Json {
    return [this.#seconds.map(([...bucket]) => bucket), this.#minutes.map(([...bucket]) => bucket), this.#peak];
  }

  static fromJson(kept: Json): Pace {
    const [seconds, minutes, peak] = kept as unknown as [Bucket[], Bucket[], number];
    const pace = new Pace();
    pace.#seconds = seconds.map(([start, count]) => [start, count]);
    pace.#minutes = minutes.map(([start, count]) => [start, count]);
    pace.#peak = peak;
    return pace;
  }
}

function increase(buckets: Bucket[], start: number): void {
  const last = buckets.at(-1);
  if (last !== undefined && last[0] === start) last[1] += 1;
  else buckets.push([start, 1]);
}
