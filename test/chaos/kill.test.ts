// A gate under load is killed at any moment, again and again. Whatever the moment: what a tool heard was in the ledger before, what was begun
// ends exactly once, nothing runs twice, and the ledger verifies and replays. CHAOS_KILLS=100 kills more often; CHAOS_SEED repeats a run.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations } from '../support/cli.ts';
import { type CounterGate, counterGate, urlOf } from '../support/counter-gate.ts';
import { type CallEvidence, callsOf, heardIn } from '../support/evidence.ts';
import { goneWithin } from '../support/processes.ts';
import { RawHttp, RawStdio } from '../support/raw-mcp.ts';

const KILLS = Number(process.env.CHAOS_KILLS ?? (process.env.CI === 'true' ? 25 : 10));
const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 2 ** 31);
/** A ledger is given up after so many kills, so that checking it all stays quick. */
const KILLS_PER_LEDGER = 10;
const CALLERS = 16;

/** Mulberry32: enough to pick moments, and the same ones again from the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Released {
  readonly by: number;
  readonly receipt: JsonObject;
}

/** Calls that were made with a number each; what came back to the client. */
interface Load {
  next: number;
  readonly released: Released[];
}

type Caller = (args: JsonObject) => Promise<JsonObject | undefined>;

/** Keeps so many calls in flight until one gets no answer any more. */
async function callUntilItDies(call: Caller, load: Load, onFirst: () => void): Promise<void> {
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      for (;;) {
        const by = load.next++;
        const result = await call({ by });
        if (result === undefined) return;
        const receipt = (result._meta as JsonObject | undefined)?.['dev.portcullis/receipt'] as JsonObject | undefined;
        if (receipt !== undefined) load.released.push({ by, receipt });
        onFirst();
      }
    }),
  );
}

/** A gate that was just started, and how to call through it. Half of the time over HTTP. */
async function start(counter: CounterGate, overHttp: boolean) {
  if (overHttp) {
    const gate = counter.serve();
    const client = new RawHttp(await urlOf(gate, 'counter'));
    await client.initialize();
    const call: Caller = (args) =>
      client.call('count', args).then(
        ({ result }) => result ?? {},
        () => undefined,
      );
    return { gate, call };
  }
  const gate = counter.wrap();
  const client = new RawStdio(gate);
  if ((await client.initialize()) === undefined) throw new Error(`it did not start: ${gate.stderr}`);
  const call: Caller = async (args) => {
    const reply = await client.call('count', args);
    return reply === undefined ? undefined : (reply.result ?? {});
  };
  return { gate, call };
}

/** What was found wrong, by the promise it breaks. */
interface Findings {
  readonly G1: string[];
  readonly G3: string[];
  readonly G6: string[];
  readonly audit: string[];
}

/** What must hold at the very moment of the kill, before anybody has mended anything. */
async function checkWhatIsOnDisk(counter: CounterGate, load: Load, found: Findings): Promise<void> {
  const heard = heardIn(counter.heard).map(({ by }) => by as number);
  const twice = heard.filter((by, at) => heard.indexOf(by) !== at);
  found.G3.push(...twice.map((by) => `call ${by} was executed twice`));
  const intended = new Map<number, CallEvidence>();
  for (const call of await callsOf(counter.at, 'counter')) {
    // The payload of an intent is written beside it: where the kill came between, the call cannot have been executed.
    if (call.intent === undefined || call.args === undefined) continue;
    const by = (call.args as JsonObject).by as number;
    if (intended.has(by)) found.G3.push(`call ${by} has two intents`);
    intended.set(by, call);
  }
  for (const by of heard)
    if (!intended.has(by)) found.G1.push(`call ${by} was heard by the tool, and is not in the ledger`);
  for (const { by, receipt } of load.released) {
    const call = intended.get(by);
    const recorded =
      call?.call === receipt.call && call?.endings[0]?.seq === receipt.entry && call?.status === 'completed';
    if (!recorded) found.G6.push(`call ${by} was answered, and its ending is not in the ledger`);
  }
}

/** What must hold after the next start. */
async function checkWhatWasRecovered(counter: CounterGate, found: Findings): Promise<number> {
  const calls = await callsOf(counter.at, 'counter');
  for (const { call, endings } of calls)
    if (endings.length !== 1) found.G6.push(`call ${call} has ${endings.length} endings`);
  const ledger = counter.at.ledger('counter');
  const [verified, replayed] = await Promise.all([
    counter.at.audit(['verify', ledger]),
    counter.at.audit(['replay', ledger, '--json']),
  ]);
  if (verified.code !== 0) found.audit.push(`verify: ${verified.stdout}${verified.stderr}`);
  const { ok, open, decisionsNotReplayable } = JSON.parse(replayed.stdout) as JsonObject;
  const withoutPayload = calls.filter(({ intent, args }) => intent !== undefined && args === undefined).length;
  if (replayed.code !== 0 || ok !== true || open !== 0 || decisionsNotReplayable !== withoutPayload)
    found.audit.push(`replay: ${replayed.stdout}${replayed.stderr}`);
  return calls.filter(({ status }) => status === 'unknown').length;
}

async function killAgainAndAgain(kills: number, random: () => number, found: Findings) {
  const counter = counterGate();
  const load: Load = { next: 1, released: [] };
  for (let kill = 0; kill < kills; kill++) {
    if (random() < 0.15) {
      // While it starts: keys, lock, recovery, the first entries.
      const gate = random() < 0.5 ? counter.wrap() : counter.serve();
      await sleep(random() * 700);
      await gate.kill();
    } else {
      const { gate, call } = await start(counter, random() < 0.5);
      if (kill > 0) await checkWhatWasRecovered(counter, found);
      let begun: () => void = () => {};
      const first = new Promise<void>((resolve) => {
        begun = resolve;
      });
      const over = callUntilItDies(call, load, begun);
      await Promise.race([first, over]);
      await sleep(random() * 250);
      await gate.kill();
      await over;
    }
    for (const { command } of await goneWithin(counter.heard, 5_000)) found.G1.push(`outlived its gate: ${command}`);
    await checkWhatIsOnDisk(counter, load, found);
  }
  const { gate } = await start(counter, false);
  const unknown = await checkWhatWasRecovered(counter, found);
  gate.child.stdin.end();
  if ((await gate.ended).code !== 0) found.audit.push(`the last gate ended badly: ${gate.stderr}`);
  return { heard: heardIn(counter.heard).length, answered: load.released.length, unknown };
}

afterAll(closeInstallations);

describe(`after each of ${KILLS} kills under load (seed ${SEED})`, () => {
  const found: Findings = { G1: [], G3: [], G6: [], audit: [] };
  const seen = { heard: 0, answered: 0, unknown: 0 };

  beforeAll(async () => {
    const random = randomFrom(SEED);
    for (let done = 0; done < KILLS; done += KILLS_PER_LEDGER) {
      const { heard, answered, unknown } = await killAgainAndAgain(
        Math.min(KILLS_PER_LEDGER, KILLS - done),
        random,
        found,
      );
      seen.heard += heard;
      seen.answered += answered;
      seen.unknown += unknown;
    }
    process.stderr.write(`chaos: ${KILLS} kills, ${JSON.stringify(seen)}, seed ${SEED}\n`);
  }, KILLS * 15_000);

  proves('G1', 'every call that a tool heard was in the ledger before, and no tool outlives its gate', () => {
    expect(found.G1).toEqual([]);
  });

  proves('G3', 'no call was executed twice, and none was intended twice', () => {
    expect(found.G3).toEqual([]);
  });

  proves('G6', 'every call has exactly one ending, and no client heard a result whose ending is not recorded', () => {
    expect(found.G6).toEqual([]);
  });

  it('the ledger verifies, and replays without a difference', () => {
    expect(found.audit).toEqual([]);
  });

  it('some calls were in flight, so that the above says something', () => {
    expect(seen.answered).toBeGreaterThan(KILLS);
    if (KILLS >= 10) expect(seen.unknown).toBeGreaterThan(0);
  });
});

it('a ledger that is being written verifies and replays', async () => {
  const counter = counterGate();
  const { gate, call } = await start(counter, false);
  const load: Load = { next: 1, released: [] };
  const over = callUntilItDies(call, load, () => {});
  const ledger = counter.at.ledger('counter');
  for (let round = 0; round < 3; round++) {
    const [verified, replayed] = await Promise.all([
      counter.at.audit(['verify', ledger]),
      counter.at.audit(['replay', ledger]),
    ]);
    expect(verified).toMatchObject({ code: 0 });
    expect(replayed).toMatchObject({ code: 0 });
  }
  await gate.kill();
  await over;
}, 60_000);
