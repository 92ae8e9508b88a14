// Every simple path of the machine, walked by the real runner: ports that do what the path says next, and nothing else. What the runner
// does must be what the fold orders, in that order, and each path must end in exactly one answer to the client.

import { describe, expect, it } from 'vitest';
import { getSimplePaths } from 'xstate/graph';
import { randomBytes, sha256 } from '../../adapters/crypto/node-crypto.ts';
import type { Authorization } from '../../control-plane/authorization.ts';
import type { Denial } from '../../domain/denial.ts';
import type { EntryBody } from '../../domain/entry.ts';
import { captureCall } from '../../proxy/captured-call.ts';
import type { CallEnd } from '../../proxy/client-view.ts';
import type { Gate, Verification } from '../../proxy/gate.ts';
import type { GateCrypto, Receipt } from '../../proxy/ports.ts';
import { runCall } from '../../proxy/runner.ts';
import type { ToolAnswer, ToolRun } from '../../proxy/tool-server.ts';
import { PLAIN_MANNER } from '../../proxy/tool-server.ts';
import { type EffectType, executionMachine } from '../../state-machines/execution.machine.ts';
import type { ExecutionEventType } from '../../state-machines/execution-events.ts';
import { begin, step } from '../../state-machines/step.ts';
import { proves } from '../guarantees.ts';
import { EVENTS, REQUESTED } from '../support/execution-events.ts';
import { LIMITS, POLICY, PRINCIPAL, resultOf, settled } from '../support/gate-world.ts';
import { NO_QUESTIONS, QUIET } from '../support/hooks.ts';
import { ManualClock } from '../support/ledger.ts';

const TYPES = Object.keys(EVENTS) as ExecutionEventType[];
const PATHS = getSimplePaths(executionMachine, { events: TYPES.map((type) => ({ type })) })
  .map((path) => path.steps.map((s) => s.event.type as ExecutionEventType).filter((type) => type in EVENTS))
  // Only recovery tells an execution that the gate restarted; a runner that lives cannot hear of it.
  .filter((types) => !types.includes('gate.restarted'));

interface Settleable<T> {
  readonly promise: Promise<T>;
  settle(value: T | Promise<never>): void;
}

function settleable<T>(): Settleable<T> {
  let settle: (value: T | Promise<never>) => void = () => {};
  const promise = new Promise<T>((resolve) => {
    settle = resolve;
  });
  return { promise, settle };
}

/** Ports that wait to be told what happened, and remember what they were ordered to do. */
class Stage {
  readonly performed: EffectType[] = [];
  readonly recorded: EntryBody[] = [];
  readonly ends: CallEnd[] = [];
  readonly defects: unknown[] = [];
  readonly clock = new ManualClock();
  readonly decision = settleable<Authorization>();
  readonly verification = settleable<Verification | Denial>();
  readonly intent = settleable<{ recorded: never; seq: number } | Denial>();
  readonly ending = settleable<Receipt>();
  readonly answer = settleable<ToolAnswer>();
  refuseAtTheDoor = false;
  outputRefused = false;

  begin() {
    const crypto: GateCrypto = { sha256, randomBytes, verifyPermit: () => false };
    const { call, at } = REQUESTED;
    const parts = { call, at, atMonotonic: 0, principal: PRINCIPAL, server: 'fs', tool: 'read_file' };
    const append = (body: EntryBody, order: EffectType): Promise<Receipt> => {
      this.performed.push(order);
      this.recorded.push(body);
      return this.ending.promise;
    };
    const gate = {
      verify: () => {
        this.performed.push('verify_permit');
        return this.verification.promise;
      },
      record: (_verified: unknown, body: EntryBody) => {
        this.performed.push('record_intent');
        this.recorded.push(body);
        return this.intent.promise;
      },
      execute: (): ToolRun | Denial => {
        this.performed.push('call_tool');
        if (this.refuseAtTheDoor) return { code: 'GOV_EPOCH_MISMATCH' };
        return { answer: this.answer.promise, cancel: () => this.performed.push('cancel_tool') };
      },
      stands: () => undefined,
      conclude: (_recorded: unknown, body: EntryBody) => append(body, 'record_outcome'),
    };
    const running = runCall(
      {
        gate: gate as unknown as Gate,
        recorder: {
          append: (body) => append(body, body.type === 'call.ending' ? 'record_outcome' : 'record_denial'),
        },
        clock: this.clock,
        crypto,
        checkOutput: async () => (this.outputRefused ? { code: 'OUTPUT_INVALID' } : undefined),
        decide: () => {
          this.performed.push('decide');
          return this.decision.promise;
        },
        tree: { end: () => undefined, elsewhere: () => undefined },
        onUnrecorded: () => this.performed.push('halt_gate'),
        onDefect: (defect) => this.defects.push(defect),
      },
      captureCall(crypto, { ...parts, method: 'tools/call', arguments: {}, rest: {}, meta: {}, manner: PLAIN_MANNER }),
      { limits: LIMITS, hooks: QUIET, ...NO_QUESTIONS },
    );
    void running.end.then((end) => {
      this.ends.push(end);
      this.performed.push(end.kind === 'denied' ? 'answer_denial' : 'release_result');
    });
    return running;
  }

  happen(type: ExecutionEventType, state: string, running: ReturnType<Stage['begin']>): void {
    const denied = { code: 'GOV_LEDGER_UNWRITABLE' } as const;
    switch (type) {
      case 'decision.allowed': {
        const decision = { policy: POLICY, by: ['fs-read'], obligations: [], limits: LIMITS };
        return this.decision.settle({ decision: 'allow', ...decision, inputJson: '{}', permit: 'a.b.c' });
      }
      case 'decision.denied':
        return this.decision.settle({ decision: 'deny', code: 'POLICY_NO_PERMIT', by: [] });
      case 'permit.verified':
        return this.verification.settle({ verified: {} as never, jti: 'j', limits: LIMITS });
      case 'permit.refused':
        return this.verification.settle({ code: 'PERMIT_EXPIRED' });
      case 'intent.recorded':
        return this.intent.settle({ recorded: {} as never, seq: 1 });
      case 'record.failed':
        if (state.startsWith('verified')) return this.intent.settle(denied);
        return this.ending.settle(Promise.reject(new Error('EIO')));
      case 'outcome.recorded':
      case 'denial.recorded':
        return this.ending.settle({ seq: 2, ts: '', leafHash: 'sha256:' });
      case 'dispatch.refused':
        return; // At the door, in the same tick as the intent.
      case 'tool.answered':
        return this.answer.settle(resultOf('done'));
      case 'output.refused':
        this.outputRefused = true;
        return this.answer.settle(resultOf('done'));
      case 'tool.lost':
        return this.answer.settle({ kind: 'lost', detail: 'gone' });
      case 'call.cancelled':
      case 'authority.withdrawn':
      case 'fault.occurred':
        return running.stop(EVENTS[type]);
      case 'deadline.passed':
        return this.clock.advance(LIMITS.timeoutMs);
      case 'gate.restarted':
        return;
    }
  }
}

/** What the fold orders along a path, with the state before each event. */
function ordered(types: readonly ExecutionEventType[]): { states: string[]; effects: EffectType[]; end: string } {
  let [execution, effects] = begin(REQUESTED);
  const states: string[] = [];
  const all = effects.map((e) => e.type);
  for (const type of types) {
    states.push(execution.state);
    [execution, effects] = step(execution, EVENTS[type]);
    all.push(...effects.map((e) => e.type));
  }
  return { states, effects: all, end: execution.state };
}

async function walk(types: readonly ExecutionEventType[]): Promise<Stage> {
  const stage = new Stage();
  const { states } = ordered(types);
  const running = stage.begin();
  await settled();
  for (const [at, type] of types.entries()) {
    stage.refuseAtTheDoor = types[at + 1] === 'dispatch.refused';
    stage.happen(type, states[at] ?? '', running);
    await settled();
  }
  return stage;
}

describe('the runner walks the machine', () => {
  it('has all paths of the machine but those of recovery', () => {
    expect(PATHS.length).toBeGreaterThan(70);
  });

  proves('G1', 'on every path it does what the fold orders, in that order, and nothing else', async () => {
    for (const types of PATHS) {
      const stage = await walk(types);
      expect(stage.performed, types.join(' → ')).toEqual(ordered(types).effects);
      expect(stage.defects, types.join(' → ')).toEqual([]);
    }
  });

  proves(
    'G6',
    'every complete path ends in one answer: a result from audited, a denial from anywhere else',
    async () => {
      for (const types of PATHS) {
        const { end } = ordered(types);
        const stage = await walk(types);
        const kinds = stage.ends.map(({ kind }) => kind);
        if (end === 'audited') expect(kinds, types.join(' → ')).toEqual(['result']);
        else if (end.startsWith('denied.re') && end !== 'denied.recording') expect(kinds).toEqual(['denied']);
        else if (end === 'denied.unrecorded') expect(stage.ends).toMatchObject([{ kind: 'denied', recorded: false }]);
        else expect(kinds).toEqual([]);
      }
    },
  );

  proves('G4', 'whatever still comes after any path changes nothing and is no defect', async () => {
    const late: ExecutionEventType[] = [
      'decision.allowed',
      'permit.verified',
      'permit.refused',
      'tool.answered',
      'call.cancelled',
      'deadline.passed',
      'authority.withdrawn',
      'fault.occurred',
    ];
    const ending = new Set(['denied.recording', 'executing.withholding', 'executing.releasing', 'audited']);
    for (const types of PATHS) {
      const { end, effects } = ordered(types);
      if (!ending.has(end) && !end.startsWith('denied')) continue;
      const stage = new Stage();
      const running = stage.begin();
      await settled();
      const { states } = ordered(types);
      for (const [at, type] of types.entries()) {
        stage.refuseAtTheDoor = types[at + 1] === 'dispatch.refused';
        stage.happen(type, states[at] ?? '', running);
        await settled();
      }
      for (const type of late) stage.happen(type, end, running);
      await settled();
      expect(stage.performed, types.join(' → ')).toEqual(effects);
      expect(stage.defects, types.join(' → ')).toEqual([]);
    }
  });
});
