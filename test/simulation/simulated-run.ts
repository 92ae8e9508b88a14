// One random run of the enforcement point under faults, and the checks that must hold on every run. The run is decided by its seed alone.

import { type Fate, seededRandom } from '../../adapters/storage/memory-store.ts';
import type { Authorization, AuthorizationRequest } from '../../control-plane/authorization.ts';
import { RecordedAuthority } from '../../control-plane/lineage/audit-authority.ts';
import type { Entry } from '../../domain/entry.ts';
import type { CallId } from '../../domain/ids.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Outcome } from '../../domain/outcome.ts';
import { BreakerLog } from '../../proxy/breaker-log.ts';
import type { CapturedCall } from '../../proxy/captured-call.ts';
import type { CallEnd } from '../../proxy/client-view.ts';
import type { RunningCall } from '../../proxy/running-call.ts';
import type { Dispatch, ToolAnswer } from '../../proxy/tool-server.ts';
import { replay } from '../../state-machines/replay.ts';
import type { GuaranteeId } from '../guarantees.ts';
import {
  type HeardCall,
  POLICY,
  PRINCIPAL,
  resultOf,
  settled,
  World,
  type WorldOptions,
} from '../support/gate-world.ts';

interface Question {
  readonly request: AuthorizationRequest;
  readonly answer: (authorization: Authorization | Promise<never>) => void;
}

interface Started {
  readonly captured: CapturedCall;
  readonly running: RunningCall;
  readonly ends: CallEnd[];
}

export interface Violation {
  readonly promise: GuaranteeId;
  readonly text: string;
}

export interface SimulationReport {
  readonly seed: number;
  /** What did not hold, in words. Empty on every good run. */
  readonly violations: readonly Violation[];
  readonly calls: number;
  readonly dispatched: number;
  readonly released: number;
  readonly ledgerFailures: number;
}

const FELL_OVER = 'the deciding side fell over';
const ENDINGS = new Set(['call.ending', 'call.denial']);

export class Simulation {
  readonly violations: Violation[] = [];
  readonly #seed: number;
  readonly #random: () => number;
  readonly #options: WorldOptions;
  readonly #questions: Question[] = [];
  readonly #calls = new Map<CallId, Started>();
  readonly #dispatched = new Map<CallId, number>();
  readonly #permits: string[] = [];
  readonly #requests: AuthorizationRequest[] = [];
  readonly #open: HeardCall[] = [];
  /** How often disks fail and rules change in this run. */
  readonly #weather: { readonly disk: number; readonly rules: number };
  #faultsArmed = 0;
  #faultsHit = 0;
  #failures = 0;
  #world: World | undefined;

  constructor(seed: number, options: WorldOptions = {}) {
    this.#seed = seed;
    this.#random = seededRandom(seed);
    this.#weather = { disk: this.#pick([0, 0.5, 3]), rules: this.#pick([0, 0, 0.4, 1]) };
    this.#options = options;
  }

  get world(): World {
    if (this.#world === undefined) throw new Error('the simulation has not begun');
    return this.#world;
  }

  async run(steps = 120): Promise<SimulationReport> {
    await this.#begin();
    for (let each = 0; each < steps; each++) {
      this.#act();
      if (this.#chance(0.6)) await settled();
      await this.#checkTheShutting();
    }
    await this.#end();
    this.#checkTheLog();
    const released = [...this.#calls.values()].filter(({ ends }) => ends[0]?.kind !== 'denied').length;
    return {
      seed: this.#seed,
      violations: this.violations,
      calls: this.#calls.size,
      dispatched: this.#dispatched.size,
      released,
      ledgerFailures: this.#failures,
    };
  }

  async #begin(): Promise<void> {
    // What fell over is started again: the run goes on.
    const world = await World.open({
      ...this.#options,
      defectShuts: 'halt',
      faults: ({ operation }) => this.#fate(operation),
    });
    this.#world = world;
    world.authority.decide = (request) => {
      this.#requests.push(request);
      return new Promise<Authorization>((resolve) => this.#questions.push({ request, answer: resolve }));
    };
    world.server.respond = () => undefined;
    world.server.onDispatch = (dispatch) => this.#heard(dispatch);
    world.governance.onChange((shut) => {
      if (shut?.guard === 'ledger') this.#failures += 1;
    });
    new BreakerLog({
      governance: world.governance,
      recorder: world.keeper,
      clock: world.clock,
      onUnrecorded: (detail) => world.keeper.fail(detail),
    });
  }

  /** Faults of the disk: only while armed, in both forms. */
  #fate(operation: string): Fate {
    if (this.#faultsArmed === 0 || (operation !== 'write' && operation !== 'sync')) return 'succeeds';
    this.#faultsArmed -= 1;
    this.#faultsHit += 1;
    return this.#pick<Fate>(['fails', 'fails_but_happens', 'is_short']);
  }

  #act(): void {
    const { world } = this;
    // A gate that stays shut shows little: what failed is mended soon.
    if (world.governance.reason !== undefined && this.#chance(0.5)) {
      this.#faultsArmed = 0;
      for (const guard of ['halt', 'engine', 'stall'] as const) world.governance.open(guard);
      world.clock.advance(600);
      return;
    }
    const { disk, rules } = this.#weather;
    const acts: readonly [number, () => void][] = [
      [8, () => this.#startCall()],
      [10, () => this.#decide()],
      [10, () => this.#answer()],
      [2, () => this.#anyCall()?.running.stop({ type: 'call.cancelled', by: 'client' })],
      [1, () => this.#anyCall()?.running.stop({ type: 'authority.withdrawn', code: 'REVOKED_AGENT' })],
      [3, () => world.clock.advance(this.#pick([1, 1, 10, 10, 400, 600, 2_000, 11_000]))],
      [disk, () => this.#arm()],
      [0.5, () => world.governance.shut('halt', 'GOV_HALTED', 'a test')],
      [0.5, () => world.governance.shut('engine', 'POLICY_ENGINE_FAULT', 'a test')],
      [0.5, () => world.governance.shut('stall', 'GOV_STALLED', 'a test')],
      [rules, () => world.governance.advanceEpoch()],
      [rules / 4, () => world.drift(this.#pick(['write_file', 'read_file']))],
      [rules, () => world.revoke('jti', 'some other permit')],
      [rules / 8, () => world.revoke('agent', PRINCIPAL.agent)],
      [0.3, () => void world.enforcement.stopAll({ type: 'call.cancelled', by: 'shutdown' })],
      [disk / 4, () => world.keeper.fail('found wanting')],
      [
        0.5,
        () => {
          world.serverIsThere = !world.serverIsThere;
        },
      ],
    ];
    let at = this.#random() * acts.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, act] of acts) {
      at -= weight;
      if (at < 0) return act();
    }
  }

  #arm(): void {
    this.#faultsArmed += this.#pick([1, 1, 2, 3]);
  }

  #startCall(): void {
    const { world } = this;
    const n = this.#calls.size;
    const tool = this.#pick(['write_file', 'read_file', 'read_file', 'secret', 'missing']);
    const captured = world.capture({ n }, tool);
    const running = world.start(captured);
    const started: Started = { captured, running, ends: [] };
    this.#calls.set(captured.call, started);
    void running.end.then((end) => {
      started.ends.push(end);
      this.#checkTheEnd(captured, end);
    });
  }

  /** The deciding side answers one of its questions, well or badly; some it never answers. */
  #decide(): void {
    const { world } = this;
    const question = this.#take(this.#questions);
    if (question === undefined) return;
    const { request, answer } = question;
    const allow = (permit: string): void => {
      this.#permits.push(permit);
      const decision = { policy: POLICY, by: ['r1'], obligations: [], limits: request.limits };
      answer({ decision: 'allow', ...decision, inputJson: '{}', permit });
    };
    const other = this.#pick(this.#requests);
    const roll = this.#random();
    if (roll < 0.62) allow(world.permitFor(request));
    else if (roll < 0.7) answer({ decision: 'deny', code: 'POLICY_FORBID', by: ['r2'] });
    else if (roll < 0.74) allow(this.#permits.length === 0 ? '' : this.#pick(this.#permits));
    else if (roll < 0.78) allow(world.permitFor(other));
    else if (roll < 0.82) allow(this.#pick(['', 'a.b.c', 'x'.repeat(70_000), 'e30.e30.e30', 'ÿ'.repeat(3)]));
    else if (roll < 0.86) allow(`${world.permitFor(request).slice(0, -4)}AAAA`);
    else if (roll < 0.9) allow(world.permitFor(request, { timeoutMs: 10_000_000, outputBytes: 1 }));
    else if (roll < 0.92) answer(Promise.reject(new Error(FELL_OVER)));
    // Otherwise it never answers.
  }

  #heard(dispatch: Dispatch): void {
    const { n } = (JSON.parse(dispatch.body) as { arguments: { n: number } }).arguments;
    const started = [...this.#calls.values()][n];
    if (started === undefined) return this.#broke('G1', `a call ${n} that nobody started was dispatched`);
    const { call, body } = started.captured;
    const times = (this.#dispatched.get(call) ?? 0) + 1;
    this.#dispatched.set(call, times);
    if (times > 1) this.#broke('G1', `call ${n} was dispatched ${times} times`);
    if (dispatch.body !== body) this.#broke('G2', `call ${n} was dispatched with other bytes`);
    const intent = this.world.entriesOf(call, true).find(({ type }) => type === 'call.intent');
    if (intent === undefined) this.#broke('G1', `call ${n} was dispatched before its intent was durable`);
    if (this.world.governance.reason !== undefined) this.#broke('G4', `call ${n} passed a gate that was shut`);
    if (started.ends.length > 0) this.#broke('G1', `call ${n} was dispatched after its end`);
    queueMicrotask(() => {
      const heard = this.world.server.heard.at(-1);
      if (heard !== undefined && !this.#open.includes(heard)) this.#open.push(heard);
    });
  }

  /** A tool answers, in whatever way; some never do, and some answer twice. */
  #answer(): void {
    const heard = this.#take(this.#open);
    if (heard === undefined) return;
    const answers: readonly ToolAnswer[] = [
      resultOf('well'),
      resultOf('well again'),
      { kind: 'result', result: { content: [], isError: true }, bytes: 2 },
      { kind: 'result', result: { content: 'not a list' } as JsonObject, bytes: 2 },
      { kind: 'result', result: { content: [], resultType: 'x'.repeat(100_000) }, bytes: 2 },
      { kind: 'result', result: { content: [], _meta: null }, bytes: 2 },
      { kind: 'error', error: { code: -32000, message: 'no' }, bytes: 2 },
      { kind: 'refused', code: 'OUTPUT_TOO_LARGE', detail: 'y'.repeat(100_000) },
      { kind: 'refused', code: 'SERVER_UNAVAILABLE', detail: 'not taken' },
      { kind: 'lost', detail: '\ud800 half a pair' },
    ];
    if (this.#chance(0.1)) heard.progress({ progress: 1 });
    heard.answer(this.#pick(answers));
    if (this.#chance(0.2)) heard.answer(this.#pick(answers));
    if (this.#chance(0.3)) heard.progress({ progress: 2 });
  }

  /** At the moment in which the client hears. */
  #checkTheEnd({ call }: CapturedCall, end: CallEnd): void {
    if (end.kind === 'denied') return;
    const ending = this.world.entriesOf(call, true).find(({ seq }) => seq === end.receipt.entry);
    const status = (ending?.outcome as Outcome | undefined)?.status;
    if (status !== 'completed' && status !== 'errored') {
      this.#broke('G6', `the result of ${call} was released while its ending was ${status ?? 'not durable'}`);
    }
  }

  /** A ledger that failed shuts the gate. */
  async #checkTheShutting(): Promise<void> {
    if (this.#faultsHit === 0) return;
    this.#faultsHit = 0;
    await settled();
    if (this.world.governance.reason === undefined && this.world.generations === this.#generationsSeen) {
      this.#broke('G6', 'the ledger failed and the gate stayed open');
    }
    this.#generationsSeen = this.world.generations;
  }
  #generationsSeen = 1;

  /** Lets every call end, opens the gate again, and ends the run as a restart would. */
  async #end(): Promise<void> {
    const { world } = this;
    this.#faultsArmed = 0;
    await settled();
    // Whatever a tool or the deciding side still owes never comes: deadlines end it.
    for (let each = 0; each < 4; each++) {
      world.clock.advance(10_000);
      await settled();
    }
    for (const [call, { ends }] of this.#calls) {
      if (ends.length !== 1) this.#broke('G1', `${call} ended ${ends.length} times`);
    }
    const reason = world.governance.reason;
    if (reason?.guard === 'ledger') this.#broke('G6', `the ledger works and the gate stays shut: ${reason.detail}`);
    // The next start of the gate recovers what this one left open.
    world.keeper.fail('the last generation ends');
    for (let each = 0; each < 4; each++) {
      world.clock.advance(10_000);
      await settled();
    }
  }

  #checkTheLog(): void {
    const { world } = this;
    for (const defect of world.defects) {
      if (!String(defect).includes(FELL_OVER)) this.#broke('G4', `taken for a defect of ours: ${String(defect)}`);
    }
    const entries = world.entries();
    const byCall = new Map<CallId, Entry[]>();
    const authority = new RecordedAuthority();
    for (const entry of entries) {
      authority.note(entry);
      if (entry.type === 'call.intent' && this.#dispatched.has(entry.call as string)) {
        const against = authority.againstDecision([]);
        if (against !== undefined) this.#broke('G4', `${String(entry.call)} ran though ${against}`);
      }
      if (typeof entry.call !== 'string') continue;
      byCall.set(entry.call, [...(byCall.get(entry.call) ?? []), entry]);
    }
    for (const [call, own] of byCall) {
      const types = own.map(({ type }) => type);
      const endings = types.filter((type) => ENDINGS.has(type)).length;
      if (endings !== 1) this.#broke('G6', `${call} has ${endings} endings: ${types.join(', ')}`);
      const verdict = replay({ call, entries: own });
      if (verdict.verdict !== 'match') this.#broke('G5', `${call} replays as ${JSON.stringify(verdict)}`);
      const outcome = own.at(-1)?.outcome as Outcome | undefined;
      if (outcome?.dispatched === false && this.#dispatched.has(call) && !this.#wasRefused(own)) {
        this.#broke('G6', `${call} was dispatched and its ending says that it was not`);
      }
    }
    for (const call of this.#dispatched.keys()) {
      if (byCall.get(call)?.[0]?.type !== 'call.intent') this.#broke('G1', `${call} ran without an intent`);
    }
    const used = entries.flatMap((entry) =>
      this.#dispatched.has(entry.call as string) && entry.type === 'call.intent'
        ? (entry.events as readonly JsonObject[]).flatMap(({ jti }) => (typeof jti === 'string' ? [jti] : []))
        : [],
    );
    if (new Set(used).size !== used.length) this.#broke('G3', 'one permit opened the door for two calls');
  }

  /** The server said that it never took the call. */
  #wasRefused(entries: readonly Entry[]): boolean {
    const events = entries.flatMap(({ events }) => events as readonly JsonObject[]);
    return events.some(({ type, code }) => type === 'dispatch.refused' && code === 'SERVER_UNAVAILABLE');
  }

  #broke(promise: GuaranteeId, text: string): void {
    this.violations.push({ promise, text: `seed ${this.#seed}: ${text}` });
  }

  #anyCall(): Started | undefined {
    const calls = [...this.#calls.values()];
    return calls.length === 0 ? undefined : this.#pick(calls);
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }

  #take<T>(from: T[]): T | undefined {
    return from.splice(Math.floor(this.#random() * from.length), 1)[0];
  }
}

/** Many runs, one seed after the other. */
export async function simulate(seeds: readonly number[], options: WorldOptions = {}): Promise<SimulationReport[]> {
  const reports: SimulationReport[] = [];
  for (const seed of seeds) reports.push(await new Simulation(seed, options).run());
  return reports;
}
