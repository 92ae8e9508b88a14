// A gate is killed exactly where it writes: at the n-th write of an entry, at the n-th sync, at the n-th rename of a state document, while
// bytes leave for the tool or for the client. strace does the killing. CHAOS_KILLS=100 tries every point instead of a sample.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations } from '../support/cli.ts';
import { type CounterGate, counterGate } from '../support/counter-gate.ts';
import { callsOf, heardIn } from '../support/evidence.ts';
import { goneWithin } from '../support/processes.ts';
import { RawStdio } from '../support/raw-mcp.ts';

const TRACING = spawnSync('strace', ['-f', '-qq', '-e', 'trace=none', 'true'], { stdio: 'ignore' }).status === 0;
const EVERY = Number(process.env.CHAOS_KILLS ?? 0) > 25;
/** On a desk every second of them. */
const SAMPLED = process.env.CI === 'true' ? 1 : 2;

/** System call, where it is killed when every point is tried, and where in a short run. */
const POINTS: readonly (readonly [string, readonly number[], readonly number[]])[] = [
  // Entries, payloads and state documents: all from one thread, because there is only one in the pool.
  ['pwrite64', range(1, 30, 1), [2, 5, 8, 11, 14, 17, 20]],
  ['fdatasync', range(1, 3, 1), [1]],
  ['fsync', range(1, 12, 1), [3, 7]],
  ['rename', range(1, 4, 1), [2]],
];
/** To the tool and to the client, between many that only wake a thread up: where in the part of a run in which it answers. */
const WRITES = { all: range(0, 100, 4), sample: [10, 35, 60, 85] };

function range(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, at) => from + at * step);
}

afterEach(closeInstallations);

it('strace can be used here, where tests must not be skipped', () => {
  expect(TRACING || process.env.CI !== 'true').toBe(true);
});

describe.skipIf(!TRACING)('killed at a system call (skipped where strace cannot trace)', () => {
  proves(
    'G1',
    'wherever it is killed, what a tool heard was recorded before, and recovery ends what was begun',
    async () => {
      let killed = 0;
      const { from, to } = await writesOfARun();
      const among = (parts: readonly number[]): number[] =>
        parts.map((percent) => Math.round(from + ((to - from) * percent) / 100));
      const writes = ['write', among(WRITES.all), among(WRITES.sample)] as const;
      for (const [name, all, sample] of [...POINTS, writes]) {
        for (const when of EVERY ? all : sample.filter((_, at) => at % SAMPLED === 0)) {
          if (await killAt(name, when)) killed++;
        }
      }
      // Counts of system calls shift with the code; when most points lie beyond the end of the run, this test needs new ones.
      expect(killed).toBeGreaterThan(SAMPLED === 1 ? 8 : 4);
    },
    EVERY ? 1_200_000 : 300_000,
  );
});

function traced({ wrap, at }: CounterGate, more: readonly string[]): RawStdio {
  const before = ['strace', '-f', '-qq', '-o', at.path('trace'), ...more];
  return new RawStdio(wrap({ before, env: { UV_THREADPOOL_SIZE: '1' } }));
}

/** Receipts of those that were answered. `met`: told when the client has been greeted. */
async function eightCalls(client: RawStdio, met: () => void = () => {}): Promise<readonly JsonObject[]> {
  const answered: JsonObject[] = [];
  if ((await client.initialize()) === undefined) return answered;
  met();
  for (let by = 1; by <= 8; by += 2) {
    const pair = await Promise.all([client.call('count', { by }), client.call('count', { by: by + 1 })]);
    for (const reply of pair) {
      const receipt = (reply?.result?._meta as JsonObject | undefined)?.['dev.portcullis/receipt'];
      if (receipt !== undefined) answered.push(receipt as JsonObject);
    }
    if (pair.includes(undefined)) break;
  }
  return answered;
}

/** How many writes a gate that nobody kills has made when it has greeted its client, and when it has answered the last call. */
async function writesOfARun(): Promise<{ readonly from: number; readonly to: number }> {
  const counter = counterGate();
  const client = traced(counter, ['-e', 'trace=write']);
  const soFar = (): number => readFileSync(counter.at.path('trace'), 'utf8').split(' write(').length - 1;
  let from = 0;
  const answered = await eightCalls(client, () => {
    from = soFar();
  });
  const to = soFar();
  client.running.child.stdin.end();
  await client.running.ended;
  await counter.at.close();
  expect(answered).toHaveLength(8);
  expect(from).toBeGreaterThan(0);
  expect(to).toBeGreaterThan(from);
  return { from, to };
}

/** Returns whether the gate came to that call at all. */
async function killAt(syscall: string, when: number): Promise<boolean> {
  const where = `${syscall} ${when}`;
  const counter = counterGate();
  const inject = ['-e', `trace=${syscall}`, '-e', `inject=${syscall}:signal=SIGKILL:when=${when}`];
  const client = traced(counter, inject);
  const answered = await eightCalls(client);
  client.running.child.stdin.end();
  const { signal, code } = await client.running.ended;
  const hit = signal === 'SIGKILL' || code === 137;
  expect(await goneWithin(counter.heard, 5_000), `${where}: processes left`).toEqual([]);
  await check(false);

  const next = await counter.wrapped();
  await check(true);
  expect((await next.call('count', { by: 99 }))?.result, `${where}: ${next.running.stderr}`).toMatchObject({
    content: [{ type: 'text' }],
  });
  const ledger = counter.at.ledger('counter');
  const [verified, replayed] = await Promise.all([
    counter.at.audit(['verify', ledger]),
    counter.at.audit(['replay', ledger]),
  ]);
  expect({ where, ...verified }).toMatchObject({ code: 0 });
  expect({ where, ...replayed }).toMatchObject({ code: 0 });
  next.running.child.stdin.end();
  await next.running.ended;
  await counter.at.close();
  return hit;

  async function check(recovered: boolean): Promise<void> {
    const heard = heardIn(counter.heard).map(({ by }) => by as number);
    expect(new Set(heard).size, where).toBe(heard.length);
    // Killed before the keys were complete: nothing can have been executed, and there is no vault to look into.
    if (heard.length === 0 && !recovered) return;
    const recorded = await callsOf(counter.at, 'counter');
    // The payload of an intent is written beside it: where the kill came between, the call cannot have been executed.
    const intended = recorded.flatMap(({ intent, args }) =>
      intent === undefined ? [] : [(args as JsonObject | undefined)?.by],
    );
    expect(
      heard.filter((by) => !intended.includes(by)),
      `${where}: heard, not recorded`,
    ).toEqual([]);
    for (const receipt of answered) {
      const call = recorded.find((one) => one.call === receipt.call);
      expect(call?.endings[0]?.seq, `${where}: answered, not recorded`).toBe(receipt.entry);
    }
    if (recovered)
      expect(
        recorded.filter(({ endings }) => endings.length !== 1),
        where,
      ).toEqual([]);
  }
}
