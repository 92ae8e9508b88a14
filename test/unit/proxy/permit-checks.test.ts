import { describe, expect, it } from 'vitest';
import { DENIALS, type DenialCode } from '../../../domain/denial.ts';
import { checkPermit, examinePermit, PERMIT_CHECKS } from '../../../proxy/permit-checks.ts';
import { proves } from '../../guarantees.ts';
import { PERMIT_CASES } from '../../support/permit-cases.ts';
import {
  goodPermit,
  goodWorld,
  inputFor,
  JTI,
  key,
  permitFor,
  permitWith,
  permitWithHeader,
  verifier,
  worldFor,
} from '../../support/permits.ts';

function codeOf(verdict: ReturnType<typeof checkPermit>): DenialCode | 'accepted' {
  return 'code' in verdict ? verdict.code : 'accepted';
}

describe('a permit with one thing wrong', () => {
  for (const { code, sentence, input } of PERMIT_CASES) {
    it(`${sentence}: ${code}`, async () => {
      expect(codeOf(checkPermit(await input()))).toBe(code);
    });
  }

  it('is among the cases for every code that the checks can give', () => {
    const covered = new Set(PERMIT_CASES.map(({ code }) => code));
    expect(PERMIT_CHECKS.map(({ code }) => code).filter((code) => !covered.has(code))).toEqual([]);
  });
});

describe('checkPermit', () => {
  it('answers VERIFIER_FAULT to any exception, wherever it comes from', async () => {
    const throws = () => {
      throw new TypeError('broken');
    };
    for (const part of ['revoked', 'spent'] as const) {
      const input = { ...(await inputFor(goodPermit())), [part]: { has: throws, full: throws } };
      expect(codeOf(checkPermit(input))).toBe('VERIFIER_FAULT');
    }
    expect(codeOf(checkPermit({ ...(await inputFor(goodPermit())), live: undefined as never }))).toBe('VERIFIER_FAULT');
  });

  it.each(['stalled', 'ready', 'halted', 'ledgerWritable', 'revocationsFresh', 'clockSane', 'policy'])(
    'refuses when it is not told whether the gate is %s',
    async (member) => {
      const world = goodWorld();
      const input = await inputFor(goodPermit(), { ...world, live: { ...world.live, [member]: undefined } });
      expect(codeOf(checkPermit(input))).not.toBe('accepted');
    },
  );

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, undefined])(
    'refuses when the time is %s',
    async (now) => {
      const input = await inputFor(goodPermit(), { ...goodWorld(), now: now as number });
      expect(codeOf(checkPermit(input))).toBe('GOV_CLOCK');
    },
  );

  it('does not listen to the claims of a forger before the signature has been judged', async () => {
    const forged = permitWith((claims) => {
      claims.gov.epoch = 1;
      claims.gov.rev = 1;
    }).replace(/[^.]+$/, goodPermit().split('.')[2] ?? '');
    expect(codeOf(checkPermit(await inputFor(forged)))).toBe('PERMIT_SIGNATURE');
  });

  it('accepts the permit that was minted for the call, by either verifier of signatures', async () => {
    for (const verify of [
      verifier.verify,
      async (...signed: Parameters<typeof verifier.verify>) => verifier.verify(...signed),
    ]) {
      const verdict = checkPermit({ ...goodWorld(), permit: await examinePermit(goodPermit(), verify) });
      expect(verdict).toMatchObject({ kid: key.kid, claims: { jti: JTI, sub: 'coder' } });
    }
  });

  it.each([
    ['tools/call', 'resources/read'],
    ['resources/read', 'resources/read'],
    ['sampling/createMessage', 'sampling/createMessage'],
  ])('accepts the permit for %s of %s', async (method, tool) => {
    expect(codeOf(checkPermit(await inputFor(permitFor(method, tool), worldFor(method, tool))))).toBe('accepted');
  });

  proves('G3', 'refuses a permit of before a restart, though nobody remembers that it burnt', async () => {
    const world = goodWorld();
    const restarted = { ...world, live: { ...world.live, boot: '01KAJ0000000000000000B0002' } };
    expect(codeOf(checkPermit(await inputFor(goodPermit(), restarted)))).toBe('ID_GATEWAY');
  });

  it('hands over claims that nobody can change', async () => {
    const verdict = checkPermit(await inputFor(goodPermit()));
    const limits = 'claims' in verdict ? verdict.claims.authorization_details[0].limits : {};
    expect(() => Object.assign(limits, { timeoutMs: 1e9 })).toThrow(TypeError);
  });

  it('accepts the members of the header in any order', async () => {
    const permit = permitWithHeader((header) => {
      const { alg } = header;
      delete header.alg;
      header.alg = alg;
    });
    expect(codeOf(checkPermit(await inputFor(permit)))).toBe('accepted');
  });

  it('accepts a permit in the last millisecond of its window', async () => {
    const exp = Math.floor(goodWorld().expected.at / 1000) + 15;
    const world = { ...goodWorld(), now: exp * 1000 - 1, ageMs: exp * 1000 - 1 - goodWorld().expected.at };
    expect(codeOf(checkPermit(await inputFor(goodPermit(), world)))).toBe('accepted');
  });
});

describe('the order of the checks', () => {
  it('is the order of the ten reasons, and within a reason that of the numbers', () => {
    const numbers = PERMIT_CHECKS.map(({ code }) => DENIALS[code].number);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    const categories = PERMIT_CHECKS.map(({ category }) => category);
    expect([...new Set(categories)]).toEqual([
      'governance_state',
      'no_artifact',
      'invalid_signature',
      'expired',
      'revoked',
      'replay',
      'runtime_identity',
      'environment_integrity',
      'policy_mismatch',
      'lineage_discontinuity',
    ]);
    expect(categories.filter((category, index) => category !== categories[index - 1])).toHaveLength(10);
  });

  it('decides: of everything that is wrong with a permit, the first in order is the answer', async () => {
    // All the worlds' faults at once; then they are put right one after the other, and each time the next shows.
    const world = goodWorld();
    const faults: [DenialCode, () => void][] = [
      ['GOV_NOT_READY', () => Object.assign(world.live, { ready: false })],
      ['GOV_HALTED', () => Object.assign(world.live, { halted: true })],
      ['GOV_LEDGER_UNWRITABLE', () => Object.assign(world.live, { ledgerWritable: false })],
      ['GOV_REVOCATION_STALE', () => Object.assign(world.live, { revocationsFresh: false })],
      ['GOV_CLOCK', () => Object.assign(world.live, { clockSane: false })],
      ['GOV_EPOCH_MISMATCH', () => Object.assign(world.live, { epoch: 9 })],
      ['GOV_REVOCATION_BEHIND', () => Object.assign(world.live, { revocation: 9 })],
      ['GOV_REPLAY_CACHE', () => Object.assign(world.spent, { full: () => true })],
      ['GOV_POLICY_INVALID', () => Object.assign(world.live, { policy: 'invalid' })],
      ['PERMIT_KEY_UNKNOWN', () => Object.assign(world.expected, { keys: new Set() })],
      ['PERMIT_ISSUER', () => Object.assign(world.expected, { issuer: '' })],
      ['PERMIT_WINDOW_TOO_LONG', () => Object.assign(world.expected, { lifetimeSecondsMax: 1 })],
      ['REVOKED_JTI', () => Object.assign(world.revoked, { has: () => true })],
      ['PERMIT_REPLAYED', () => Object.assign(world.spent, { has: () => true })],
      ['ID_GATEWAY', () => Object.assign(world.expected, { audience: '' })],
      ['ID_INITIATOR', () => Object.assign(world.expected, { agent: '' })],
      ['ID_CONNECTION', () => Object.assign(world.expected, { connection: '' })],
      ['ID_PROOF_KEY', () => Object.assign(world.expected, { proofKey: '' })],
      ['ENV_ATTESTATION', () => Object.assign(world.expected, { attestation: '' })],
      ['ENV_TOOL_DEFINITION', () => Object.assign(world.expected, { definition: '' })],
      ['POLICY_DIGEST', () => Object.assign(world.expected, { policy: '' })],
      ['INTENT_TARGET', () => Object.assign(world.expected, { server: '' })],
      ['INTENT_ARGUMENTS', () => Object.assign(world.expected, { args: '' })],
      ['INTENT_REQUEST', () => Object.assign(world.expected, { req: '' })],
      ['SCOPE_LIMITS', () => Object.assign(world.expected, { limitsMax: { timeoutMs: 1, outputBytes: 1 } })],
      ['LINEAGE_CONTINUITY', () => Object.assign(world.expected, { chain: '' })],
    ];
    const seen: string[] = [];
    for (const [, fault] of [...faults].reverse()) {
      fault();
      seen.unshift(codeOf(checkPermit(await inputFor(goodPermit(), world))));
    }
    expect(seen).toEqual(faults.map(([code]) => code));
  });
});

describe('every check is needed', () => {
  /** What these refuse, another check refuses as well; taking them away may only change the reason given. */
  const BACKED_UP = new Set(['PERMIT_MISSING', 'VERIFIER_FAULT', 'ENV_UNKNOWN']);

  it('has a name for each', () => {
    expect(new Set(PERMIT_CHECKS.map(({ name }) => name)).size).toBe(PERMIT_CHECKS.length);
  });

  for (const removed of PERMIT_CHECKS) {
    const rest = PERMIT_CHECKS.filter((check) => check !== removed);
    const promise = BACKED_UP.has(removed.code) ? 'another reason is given' : 'something passes that must not';
    proves('G4', `without the check ${removed.name}, ${promise}`, async () => {
      const answers: string[] = [];
      for (const { code, input } of PERMIT_CASES) {
        if (code === removed.code) answers.push(codeOf(checkPermit(await input(), rest)));
      }
      const wrong = answers.filter((answer) =>
        BACKED_UP.has(removed.code) ? answer !== removed.code : answer === 'accepted',
      );
      expect(wrong).not.toEqual([]);
    });
  }
});

proves('G1', 'nothing but a permit minted for the very call is accepted', async () => {
  const answers = await Promise.all(PERMIT_CASES.map(async ({ input }) => codeOf(checkPermit(await input()))));
  expect(answers).not.toContain('accepted');
  expect(codeOf(checkPermit(await inputFor(goodPermit())))).toBe('accepted');
});
