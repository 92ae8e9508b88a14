// The state of a round in the client's hands: what opens it again, for how long, and how many are remembered as used.

import { describe, expect, it } from 'vitest';
import { randomBytes } from '../../../../../adapters/crypto/node-crypto.ts';
import { type Round, StateSeal } from '../../../../../adapters/downstream/modern/state-seal.ts';
import type { CallId } from '../../../../../domain/ids.ts';
import { REQUEST_STATES_USED_MAX, REQUEST_STATES_USED_PER_AGENT_MAX } from '../../../../../proxy/limits.ts';
import { proves } from '../../../../guarantees.ts';
import { ManualClock } from '../../../../support/ledger.ts';

const ROUND: Round = {
  id: 'r1',
  call: '01JZ0000000000000000000000' as CallId,
  agent: 'coder',
  bearer: 'b',
  request: 'q',
  questions: {},
  round: 1,
  expires: 1_000,
  held: false,
};

describe('the seal of a state', () => {
  const sealed = () => {
    const clock = new ManualClock();
    const seal = new StateSeal(clock, { randomBytes });
    return { clock, seal, text: seal.seal(ROUND) as string };
  };

  proves('G4', 'no bit of it can be another', () => {
    const { seal, text } = sealed();
    const bytes = Buffer.from(text, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(seal.open(flipped.toString('base64url'))).toBeUndefined();
    }
    for (let length = 0; length < bytes.length; length += 1)
      expect(seal.open(bytes.subarray(0, length).toString('base64url'))).toBeUndefined();
    expect(seal.open(text)).toEqual(ROUND);
  });

  it.each([
    ['padding', (text: string) => `${text}=`],
    ['white space', (text: string) => ` ${text}`],
    ['the other alphabet', (text: string) => text.replace(/[-_]/, '+')],
    ['the key of another run', () => sealed().text],
  ])('%s: not opened', (_name, changed) => {
    const { seal, text } = sealed();
    const other = changed(text);
    if (other !== text) expect(seal.open(other)).toBeUndefined();
  });

  it('spare bits of its spelling are not ours to choose: there is one spelling', () => {
    const { seal } = sealed();
    for (const agent of ['a', 'aa', 'aaa']) {
      const text = seal.seal({ ...ROUND, agent }) as string;
      const bytes = Buffer.from(text, 'base64url');
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      const spellings = [...alphabet].map((last) => `${text.slice(0, -1)}${last}`);
      const same = spellings.filter((spelling) => Buffer.from(spelling, 'base64url').equals(bytes));
      expect(same.filter((spelling) => seal.open(spelling) !== undefined)).toEqual([text]);
      if (text.length % 4 !== 0) expect(same.length).toBeGreaterThan(1);
    }
  });

  proves('G4', 'is good up to its last millisecond, and a wall clock that is set back gives it no more', () => {
    const { clock, seal, text } = sealed();
    clock.advance(999);
    expect(seal.open(text)).toBeDefined();
    clock.advance(1);
    clock.wall -= 1_000_000;
    expect(seal.open(text)).toBeUndefined();
  });

  it('what could not be opened again is not sealed', () => {
    const { seal } = sealed();
    const questions = {
      big: { method: 'elicitation/create', params: { requestedSchema: { title: 'x'.repeat(500_000) } } },
    };
    expect(seal.seal({ ...ROUND, questions })).toBeUndefined();
  });
});

describe('states that were used', () => {
  const round = (id: number, agent = 'coder', expires = 1_000): Round => ({ ...ROUND, id: `r${id}`, agent, expires });

  proves('G3', 'are used once', () => {
    const seal = new StateSeal(new ManualClock(), { randomBytes });
    expect(seal.use(ROUND)).toBe(true);
    expect(seal.isUsed(ROUND)).toBe(true);
    expect(seal.use(ROUND)).toBe(false);
  });

  it('one agent cannot use up the room of the others, and gets it back with time', () => {
    const clock = new ManualClock();
    const seal = new StateSeal(clock, { randomBytes });
    for (let used = 0; used < REQUEST_STATES_USED_PER_AGENT_MAX; used += 1) expect(seal.use(round(used))).toBe(true);
    expect(seal.use(round(-1))).toBe(false);
    expect(seal.use(round(-1, 'other', 5_000))).toBe(true);
    clock.advance(1_000);
    expect(seal.use(round(-1, 'coder', 5_000))).toBe(true);
    expect(seal.isUsed(round(-1, 'other'))).toBe(true);
  });

  it('what cannot be remembered is not used', () => {
    const seal = new StateSeal(new ManualClock(), { randomBytes });
    const agents = REQUEST_STATES_USED_MAX / REQUEST_STATES_USED_PER_AGENT_MAX;
    for (let used = 0; used < REQUEST_STATES_USED_MAX; used += 1) seal.use(round(used, `agent ${used % agents}`));
    expect(seal.use(round(-1, 'another'))).toBe(false);
  });
});
