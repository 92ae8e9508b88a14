import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { checkPermit } from '../../proxy/permit-checks.ts';
import { type SpentPermits as Memory, SpentPermits } from '../../proxy/spent-permits.ts';
import { proves } from '../guarantees.ts';
import { goodPermit, inputFor } from '../support/permits.ts';

const permit = goodPermit();
const CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\0é';

async function accepted(text: string): Promise<boolean> {
  return !('code' in checkPermit(await inputFor(text)));
}

describe('a permit', () => {
  proves('G1', 'is refused with any one character replaced by its neighbour', async () => {
    for (let index = 0; index < permit.length; index++) {
      const neighbour = String.fromCharCode(permit.charCodeAt(index) ^ 1);
      const changed = permit.slice(0, index) + neighbour + permit.slice(index + 1);
      if (await accepted(changed)) throw new Error(`accepted with character ${index} replaced`);
    }
  });

  proves('G1', 'is refused with any one character replaced, inserted or removed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(permit.length - 1),
        fc.constantFrom(...CHARACTERS),
        fc.constantFrom('replace', 'insert', 'remove'),
        async (index, character, how) => {
          const end = permit.slice(how === 'insert' ? index : index + 1);
          const changed = permit.slice(0, index) + (how === 'remove' ? '' : character) + end;
          if (changed !== permit) expect(await accepted(changed)).toBe(false);
        },
      ),
      { numRuns: 1_000 },
    );
    expect(await accepted(permit)).toBe(true);
  });
});

describe('any text', () => {
  proves('G4', 'is refused for what it is, and never as a fault of ours', async () => {
    const segment = fc.oneof(
      fc.string(),
      fc.json().map((text) => Buffer.from(text).toString('base64url')),
      fc.constantFrom(...permit.split('.')),
    );
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(segment, { maxLength: 5 }).map((all) => all.join('.')),
    );
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        if (text === permit) return;
        const verdict = checkPermit(await inputFor(text));
        expect(verdict).toHaveProperty('code');
        expect(verdict).not.toHaveProperty('code', 'VERIFIER_FAULT');
      }),
      { numRuns: 1_000 },
    );
  });
});

/** What the memory must do, in its simplest form: never forget, refuse what has expired, hold so many as are still valid. */
class Model {
  readonly burnt = new Map<string, number>();
  latest = 0;

  burn(jti: string, exp: number, now: number, capacity: number): string | undefined {
    if (exp * 1000 <= now) return 'PERMIT_EXPIRED';
    if (this.burnt.has(jti) || exp <= this.latest) return 'PERMIT_REPLAYED';
    this.latest = Math.max(this.latest, Math.floor(now / 1000));
    const valid = [...this.burnt.values()].filter((other) => other > this.latest).length;
    if (valid >= capacity) return 'GOV_REPLAY_CACHE';
    this.burnt.set(jti, exp);
    return undefined;
  }
}

interface Pair {
  readonly model: Model;
  readonly real: Memory;
}

describe('spent permits', () => {
  proves('G3', 'burn once, whatever the order, the clock and the pressure', () => {
    // A permit is signed, so an id has one expiry.
    const step = fc.record({
      id: fc.integer({ min: 0, max: 35 }),
      now: fc.integer({ min: 990_000, max: 1_030_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 6 }), (steps, capacity) => {
        const { model, real }: Pair = { model: new Model(), real: new SpentPermits(capacity) };
        for (const { id, now } of steps) {
          const jti = `permit-${id}`;
          const exp = 995 + id;
          expect(real.burn(jti, exp, now)?.code).toBe(model.burn(jti, exp, now, capacity));
          expect(real.size).toBeLessThanOrEqual(capacity);
          expect(real.has(jti, exp) || !model.burnt.has(jti)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});
