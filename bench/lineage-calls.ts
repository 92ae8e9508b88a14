// What lineage costs a call through a gate, and how long it takes until the last of a chain has been told to stop. A chain may have few calls under
// each of its own, so each round has a new one: what is measured are the calls under its last.

import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { readLineageToken } from '../domain/lineage-token.ts';
import { Office } from '../examples/agents/office.ts';
import { type Chain, ChainGate } from './chain-gate.ts';
import type { LoadClient } from './load-client.ts';
import { PORTCULLIS } from './places.ts';
import { median, quantile } from './quantile.ts';

const DEPTHS = [0, 1, 3, 8] as const;
/** One execution makes at most 64 calls in its life. */
const CALLS = 60;
const LOADS = [1, 16] as const;
const CHAIN_OF_THREE = 3;

export interface DepthFigure {
  readonly depth: number;
  readonly inFlight: number;
  readonly p50Ms: number;
  readonly cpuMicros: number | undefined;
  /** Against the same at depth 0, median over the rounds. */
  readonly timesP50: number;
  readonly timesWhole: number;
}

export interface StopFigure {
  readonly how: string;
  readonly p50Ms: number;
  readonly worstMs: number;
}

export interface CallFigures {
  readonly depths: readonly DepthFigure[];
  readonly stops: readonly StopFigure[];
  /** Why the figures may not be believed. */
  readonly faults: readonly string[];
}

interface Round {
  readonly p50Ms: number;
  readonly wholeMs: number;
  readonly cpuMicros: number | undefined;
}

export async function callFigures(
  rounds: number,
  stops: number,
  progress: (text: string) => void,
): Promise<CallFigures> {
  const gate = await ChainGate.open();
  try {
    const measured = new Map<string, Round[]>();
    for (let round = 0; round <= rounds; round += 1) {
      progress(`lineage: calls at depth ${DEPTHS.join(', ')}, round ${round} of ${rounds}`);
      for (const inFlight of LOADS) {
        for (const depth of DEPTHS) {
          const chain = await gate.chain(depth);
          const one = await roundOf(gate, depth === 0 ? gate.planner : gate.worker, chain, inFlight);
          await chain.release();
          // The first is for the compiler.
          if (round === 0) continue;
          const key = `${depth} ${inFlight}`;
          measured.set(key, [...(measured.get(key) ?? []), one]);
        }
      }
    }
    const stopped = await stopFigures(gate, stops, progress);
    await gate.stop();
    const faults = gate.ledgers.flatMap((ledger) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [PORTCULLIS, 'verify', ledger], {
        encoding: 'utf8',
        env: gate.env,
      });
      return status === 0 ? [] : [`the ledger does not verify: ${stdout}${stderr}`];
    });
    return { depths: figuresOf(measured), stops: stopped, faults };
  } finally {
    await gate.stop();
    gate.remove();
  }
}

async function roundOf(gate: ChainGate, client: LoadClient, { meta }: Chain, inFlight: number): Promise<Round> {
  await client.prepare(inFlight);
  const before = gate.cpuMicros();
  const startedAt = performance.now();
  const latencies: number[] = [];
  const begun = { calls: 0 };
  const lane = async (nth: number): Promise<void> => {
    while (begun.calls < CALLS) {
      begun.calls += 1;
      const sentAt = performance.now();
      const fault = await new Promise<string | undefined>((done) =>
        client.call(nth, `bench ${begun.calls} ${'x'.repeat(80)}`, done, meta),
      );
      if (fault !== undefined) throw new Error(fault);
      latencies.push(performance.now() - sentAt);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, nth) => lane(nth)));
  const wholeMs = performance.now() - startedAt;
  const after = gate.cpuMicros();
  return {
    p50Ms: median(latencies),
    wholeMs,
    cpuMicros: before === undefined || after === undefined ? undefined : after - before,
  };
}

function figuresOf(measured: ReadonlyMap<string, readonly Round[]>): readonly DepthFigure[] {
  return LOADS.flatMap((inFlight) =>
    DEPTHS.map((depth) => {
      const rounds = measured.get(`${depth} ${inFlight}`) ?? [];
      const plain = measured.get(`0 ${inFlight}`) ?? [];
      const times = (of: (round: Round) => number): number =>
        median(rounds.map((round, nth) => of(round) / of(plain[nth] ?? round)));
      const used = rounds.map(({ cpuMicros }) => cpuMicros).filter((micros) => micros !== undefined);
      return {
        depth,
        inFlight,
        p50Ms: median(rounds.map(({ p50Ms }) => p50Ms)),
        cpuMicros:
          used.length === 0 ? undefined : used.reduce((sum, micros) => sum + micros, 0) / (used.length * CALLS),
        timesP50: times(({ p50Ms }) => p50Ms),
        timesWhole: times(({ wholeMs }) => wholeMs),
      };
    }),
  );
}

/** From the moment somebody revokes the root of a chain of three until the last of it has been told. */
async function stopFigures(
  gate: ChainGate,
  times: number,
  progress: (text: string) => void,
): Promise<readonly StopFigure[]> {
  const orders: readonly (readonly [string, (root: string) => Promise<unknown>])[] = [
    ['an order over HTTP', (root) => orderOverHttp(gate, root)],
    ['portcullis revoke', async (root) => command(gate, ['revoke', 'root', root])],
  ];
  const figures: StopFigure[] = [];
  for (const [how, order] of orders) {
    progress(`lineage: ${how}, ${times} times`);
    const taken: number[] = [];
    for (let nth = 0; nth < times; nth += 1) {
      const chain = await gate.chain(CHAIN_OF_THREE);
      const before = gate.holder.stoppedAt.length;
      const startedAt = performance.now();
      await order(chain.root);
      while (gate.holder.stoppedAt.length < before + CHAIN_OF_THREE)
        await new Promise((resolve) => setTimeout(resolve, 1));
      taken.push((gate.holder.stoppedAt.at(-1) ?? Number.NaN) - startedAt);
      await chain.release();
    }
    const sorted = taken.sort((a, b) => a - b);
    figures.push({ how, p50Ms: quantile(sorted, 0.5), worstMs: quantile(sorted, 1) });
  }
  figures.push(await stopBehindAnotherGate(times, progress));
  const bare = Array.from({ length: times }, () => {
    const startedAt = performance.now();
    spawnSync(process.execPath, [PORTCULLIS, '--version'], { env: gate.env });
    return performance.now() - startedAt;
  }).sort((a, b) => a - b);
  figures.push({ how: 'portcullis --version', p50Ms: quantile(bare, 0.5), worstMs: quantile(bare, 1) });
  return figures;
}

/** As in the example of three agents: the third calls through another gate, and what counts is when the database there was told. */
async function stopBehindAnotherGate(times: number, progress: (text: string) => void): Promise<StopFigure> {
  progress('lineage: portcullis revoke, with the last behind another gate');
  const office = await Office.open();
  try {
    const planner = await office.client('planner');
    const taken: number[] = [];
    for (let nth = 1; nth <= times; nth += 1) {
      const path = join(office.workspace, 'drafts', 'q3.md');
      const open = planner.call({ tool: 'review__check', args: { path } });
      await office.database('waiting', nth);
      const root = readLineageToken(office.worker.tokens.at(-1) ?? '').payload().claims?.lin.root ?? '';
      const startedAt = performance.now();
      const order = office.run('revoke', 'root', root);
      await office.database('cancelled', nth);
      taken.push(performance.now() - startedAt);
      const { denied } = await open;
      if (denied !== 'LINEAGE_REVOKED') throw new Error(`a revoked chain ended with ${denied}`);
      await order;
    }
    const sorted = taken.sort((a, b) => a - b);
    return { how: 'portcullis revoke, two gates', p50Ms: quantile(sorted, 0.5), worstMs: quantile(sorted, 1) };
  } finally {
    await office.close();
  }
}

async function orderOverHttp({ url, operator }: ChainGate, root: string): Promise<void> {
  const response = await fetch(`${url}/operator/orders`, {
    method: 'POST',
    headers: { authorization: `Bearer ${operator}`, 'content-type': 'application/json' },
    body: JSON.stringify({ order: 'revoke', kind: 'root', id: root }),
  });
  if (response.status !== 200) throw new Error(`the order was answered ${response.status}: ${await response.text()}`);
}

function command({ env }: ChainGate, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [PORTCULLIS, ...args], { env }, (error) => (error === null ? resolve() : reject(error)));
  });
}
