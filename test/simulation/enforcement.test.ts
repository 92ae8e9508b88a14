// The enforcement point under random interleavings and faults: the real runner, gate, admission, governance and ledger; a clock that is
// moved by hand, a disk of memory that fails in both ways, and deciding sides and tools that behave badly. SIMULATION_SEED repeats a run.

import { beforeAll, describe, expect, it } from 'vitest';
import { Gate, type GatePorts } from '../../proxy/gate.ts';
import type { Governance } from '../../proxy/governance.ts';
import type { Receipt, Recorder } from '../../proxy/ports.ts';
import { SpentPermits } from '../../proxy/spent-permits.ts';
import { type GuaranteeId, proves } from '../guarantees.ts';
import { intentOf, World, type WorldOptions } from '../support/gate-world.ts';
import { QUIET } from '../support/hooks.ts';
import { type SimulationReport, simulate } from './simulated-run.ts';

const RUNS = 80;
/** Seeds that found something. */
const KEPT = [65_711_725];
const chosen = process.env.SIMULATION_SEED;
const first = chosen === undefined ? Math.floor(Math.random() * 1e9) : Number(chosen);
const seedsFrom = (start: number, count: number): number[] => Array.from({ length: count }, (_, each) => start + each);

describe('random runs', () => {
  let reports: readonly SimulationReport[] = [];
  beforeAll(async () => {
    process.stderr.write(`simulation seeds: ${first} to ${first + RUNS - 1}, ${KEPT.join(', ')}, and 1 to 40\n`);
    reports = await simulate([...KEPT, ...seedsFrom(1, 40), ...seedsFrom(first, RUNS)]);
  }, 120_000);

  const broken = (promise: GuaranteeId) =>
    reports.flatMap(({ violations }) => violations).filter((violation) => violation.promise === promise);

  it('are worth something: calls were dispatched, released and refused, and ledgers failed', () => {
    const sum = (of: (report: SimulationReport) => number) => reports.reduce((total, report) => total + of(report), 0);
    expect(sum((report) => report.dispatched)).toBeGreaterThan(100);
    expect(sum((report) => report.released)).toBeGreaterThan(20);
    expect(sum((report) => report.ledgerFailures)).toBeGreaterThan(50);
    expect(sum((report) => report.calls)).toBeGreaterThan(sum((report) => report.dispatched));
  });

  proves('G1', 'no call is dispatched without its own durable intent, none twice, and none after it ended', () => {
    expect(broken('G1')).toEqual([]);
  });
  proves('G2', 'what the tool hears is the captured canonical body', () => {
    expect(broken('G2')).toEqual([]);
  });
  proves('G3', 'no permit opens the door for two calls', () => {
    expect(broken('G3')).toEqual([]);
  });
  proves('G4', 'nothing passes a gate that is shut, and nothing that others do is taken for a defect', () => {
    expect(broken('G4')).toEqual([]);
  });
  proves('G5', 'every recorded call replays as it was', () => {
    expect(broken('G5')).toEqual([]);
  });
  proves(
    'G6',
    'every call and every intent ends exactly once, nothing is released before its ending is durable, a failed ledger shuts the gate and ' +
      'a working one opens it again',
    () => {
      expect(broken('G6')).toEqual([]);
    },
  );
});

describe('without its guard each promise is seen to break', () => {
  const breaks = async (
    makeGate: (ports: GatePorts) => Gate,
    options: WorldOptions = {},
  ): Promise<Set<GuaranteeId>> => {
    const reports = await simulate(seedsFrom(1, 40), { makeGate, ...options });
    return new Set(reports.flatMap(({ violations }) => violations).map(({ promise }) => promise));
  };

  proves('G1', 'a gate that does not wait for the disk', async () => {
    const hasty = new WeakMap<Recorder, Recorder>();
    const broken = await breaks(
      (ports) =>
        new Gate({
          ...ports,
          recorder: () => {
            const real = ports.recorder();
            const found = hasty.get(real) ?? { append: (body, payloads) => soon(real.append(body, payloads)) };
            hasty.set(real, found);
            return found;
          },
        }),
    );
    expect(broken).toContain('G1');
  });

  proves('G4', 'a gate that looks at no live state', async () => {
    const blind = (real: Governance): Governance =>
      ({
        get epoch() {
          return real.epoch;
        },
        onChange: () => {},
        live: () => ({ ...real.live(), ready: true, halted: false, ledgerWritable: true, policy: 'installed' }),
      }) as unknown as Governance;
    const broken = await breaks((ports) => new Gate({ ...ports, governance: blind(ports.governance) }));
    expect(broken).toContain('G4');
  });

  proves('G6', 'a gate that says an ending is recorded when it is not', async () => {
    class Forgetful extends Gate {
      override async conclude(): Promise<Receipt> {
        return { seq: 1, ts: '', leafHash: 'sha256:' };
      }
    }
    expect(await breaks((ports) => new Forgetful(ports))).toContain('G6');
  });

  proves('G3', 'a gate that burns nothing: one permit passes twice and both calls are dispatched', async () => {
    const burnsNothing = Object.assign(new SpentPermits(), { has: () => false, burn: () => undefined });
    const dispatchedWith = async (options: WorldOptions): Promise<number> => {
      const world = await World.open(options);
      const captured = world.capture();
      const permit = world.permitFor(world.requestFor(captured));
      for (const _ of [1, 2]) {
        const verdict = await world.gate.verify(permit, captured);
        if ('code' in verdict) continue;
        const recorded = await world.gate.record(verdict.verified, intentOf(captured), []);
        if ('recorded' in recorded) world.gate.execute(recorded.recorded, QUIET);
      }
      return world.server.heard.length;
    };
    expect(await dispatchedWith({})).toBe(1);
    // The tree of calls starts an execution once, too: it is the second lock on this door, and is taken away as well.
    const tree = { handOver: () => ({ meta: {} }), standing: () => undefined };
    const opened = (ports: GatePorts) => new Gate({ ...ports, spent: burnsNothing, tree });
    expect(await dispatchedWith({ makeGate: opened })).toBe(2);
  });
});

/** Says that it is done before it is. */
async function soon(work: Promise<Receipt>): Promise<Receipt> {
  work.catch(() => {});
  return { seq: 1, ts: '', leafHash: 'sha256:' };
}
