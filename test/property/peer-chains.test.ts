// Chains over two gates while the line between them is held up, cut and joined anew at random: whatever happens, a result is released only when nothing
// runs under it any more.

import fc from 'fast-check';
import { expect } from 'vitest';
import { STALE_AFTER_MS } from '../../control-plane/lineage/feed.ts';
import type { RunningCall } from '../../proxy/running-call.ts';
import { proves } from '../guarantees.ts';
import { type HeardCall, resultOf, settled } from '../support/gate-world.ts';
import { Gates, Line, WORKER } from '../support/peer-gates.ts';

const which = fc.nat({ max: 100 });
const happening = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ kind: 'above' as const }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('below' as const), which }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('answer' as const), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('answer below' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('revoke' as const), which, there: fc.boolean() }) },
  { weight: 3, arbitrary: fc.constantFrom({ kind: 'hold' as const }, { kind: 'release' as const }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      { kind: 'cut' as const },
      { kind: 'cut at one end' as const },
      { kind: 'join' as const },
    ),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 3_000 }) }) },
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

interface Above {
  readonly call: RunningCall;
  readonly token: string;
  readonly heard: HeardCall;
  /** Calls under it at the other gate that have not ended, as far as anybody outside can know. */
  readonly open: Set<RunningCall>;
  endedAt: number;
}

class History {
  readonly violations: string[] = [];
  readonly #gates: Gates;
  readonly #above: Above[] = [];
  #calls = 0;

  constructor(gates: Gates) {
    this.#gates = gates;
  }

  async happen(event: Happening): Promise<void> {
    const gates = this.#gates;
    const { first, other } = gates;
    switch (event.kind) {
      case 'above': {
        const running = await gates.running(first, { path: `/w/${++this.#calls}` });
        const above: Above = { ...running, open: new Set(), endedAt: Number.POSITIVE_INFINITY };
        this.#above.push(above);
        void above.call.end.then(({ kind }) => {
          above.endedAt = first.clock.monotonic();
          if (kind === 'result' && above.open.size > 0) this.violations.push('released before all under it had ended');
        });
        return;
      }
      case 'below': {
        const above = this.#pick(event.which);
        if (above === undefined) return;
        const isLongOver = first.clock.monotonic() - above.endedAt > STALE_AFTER_MS;
        const before = other.server.heard.length;
        const call = gates.start(other, { by: WORKER, token: above.token, path: `/w/${++this.#calls}` });
        above.open.add(call);
        void call.end.then(() => above.open.delete(call));
        await settled();
        if (isLongOver && other.server.heard.length > before) this.violations.push('ran under what had long ended');
        return;
      }
      case 'answer':
        return this.#pick(event.which)?.heard.answer(resultOf('done'));
      case 'answer below':
        return other.server.heard[event.which % Math.max(1, other.server.heard.length)]?.answer(resultOf('done'));
      case 'cancel':
        return this.#pick(event.which)?.call.stop({ type: 'call.cancelled', by: 'client' });
      case 'revoke': {
        const above = this.#pick(event.which);
        if (above !== undefined) void (event.there ? other : first).enforcement.revoke('root', above.call.call);
        return;
      }
      case 'hold':
        return gates.line.hold();
      case 'release':
        return gates.line.release();
      case 'cut':
        return gates.line.cut();
      case 'cut at one end':
        return gates.line.cutAtOneEnd();
      case 'join':
        gates.line = new Line(first, other);
        return;
      case 'wait':
        return gates.wait(event.ms);
    }
  }

  /** Everything answers, and time passes until nothing can be open. */
  async finish(): Promise<void> {
    const { first, other } = this.#gates;
    for (const world of [first, other]) for (const heard of world.server.heard) heard.answer(resultOf('done'));
    await this.#gates.wait(16_000);
    for (const { call } of this.#above) await call.end;
  }

  #pick(number: number): Above | undefined {
    return this.#above[number % Math.max(1, this.#above.length)];
  }
}

proves(
  'G11',
  'whatever becomes of the line between two gates, a result is released only when nothing runs under it',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(happening, { minLength: 20, maxLength: 50 }), async (events) => {
        const gates = await Gates.open();
        const history = new History(gates);
        try {
          for (const event of events) {
            await history.happen(event);
            await settled();
          }
          await history.finish();
          expect(history.violations).toEqual([]);
          for (const { defects, registry } of [gates.first, gates.other]) {
            expect(defects).toEqual([]);
            expect(registry.size).toBe(0);
          }
        } finally {
          gates.close();
        }
      }),
      { numRuns: 60 },
    );
  },
  120_000,
);
