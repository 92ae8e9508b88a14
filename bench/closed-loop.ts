// A closed loop: each lane sends its next call when the answer to the last has come. It says how many right answers came, how fast, and
// stops at the first wrong one (answers to the rest are then still under way: the client is of no more use). It does not measure what an open load would show: a slow target is asked less often.

import type { LoadClient } from './load-client.ts';
import { quantile } from './quantile.ts';

const STALL_MS = 30_000; // Longer than any target here needs for its slowest answer; shorter than the patience of who waits.
const FILLER = 'x'.repeat(2 * 1024 * 1024);

export interface Load {
  readonly name: string;
  readonly payloadBytes: number;
  readonly inFlight: number;
}

export interface Measured {
  readonly calls: number;
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Rejects when an answer is wrong or does not come: a figure for wrong answers would be worth nothing. */
export async function closedLoop(client: LoadClient, load: Load, seconds: number): Promise<Measured> {
  await client.prepare(load.inFlight);
  return new Promise((resolve, reject) => {
    const latenciesMs: number[] = [];
    const startedAt = performance.now();
    const until = startedAt + seconds * 1000;
    let busy = load.inFlight;
    let sent = 0;
    let lastAnswerAt = startedAt;
    let failed = false;
    const watch = setInterval(() => {
      if (performance.now() - lastAnswerAt > STALL_MS) fail(`no answer for ${STALL_MS / 1000} s`);
    }, 1000);

    const fail = (fault: string): void => {
      failed = true;
      clearInterval(watch);
      reject(new Error(fault));
    };
    const finish = (): void => {
      clearInterval(watch);
      const sorted = Float64Array.from(latenciesMs).sort();
      resolve({
        calls: sorted.length,
        callsPerSecond: sorted.length / ((lastAnswerAt - startedAt) / 1000),
        p50Ms: quantile(sorted, 0.5),
        p99Ms: quantile(sorted, 0.99),
      });
    };
    const next = (lane: number): void => {
      sent += 1;
      const sentAt = performance.now();
      client.call(lane, textOf(sent, load.payloadBytes), (fault) => {
        if (failed) return;
        if (fault !== undefined) {
          fail(fault);
          return;
        }
        lastAnswerAt = performance.now();
        latenciesMs.push(lastAnswerAt - sentAt);
        if (lastAnswerAt < until) next(lane);
        else {
          busy -= 1;
          if (busy === 0) finish();
        }
      });
    };
    for (let lane = 0; lane < load.inFlight; lane += 1) next(lane);
  });
}

/** A text of the given size that no other call of the loop sends, so that a mixed-up answer is seen. */
function textOf(number: number, bytes: number): string {
  const start = `bench ${number} `;
  return start + FILLER.slice(0, bytes - start.length);
}
