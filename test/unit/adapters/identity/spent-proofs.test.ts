import { describe, expect, it } from 'vitest';
import {
  PROOF_AGE_SECONDS_MAX,
  PROOF_AHEAD_SECONDS_MAX,
  PROOFS_PER_HOLDER_MAX,
} from '../../../../adapters/identity/limits.ts';
import { SpentProofs } from '../../../../adapters/identity/spent-proofs.ts';
import { proves } from '../../../guarantees.ts';

const WINDOW = PROOF_AGE_SECONDS_MAX + PROOF_AHEAD_SECONDS_MAX;
const NOW = 1_795_250_000;

describe('a spent proof', () => {
  it('is remembered for as long as it could pass for fresh, and then forgotten', () => {
    const spent = new SpentProofs();
    const proof = { holder: 'a', id: 'x', iat: NOW + PROOF_AHEAD_SECONDS_MAX };
    expect(spent.spend(proof, NOW)).toBe(true);
    expect(spent.spend(proof, NOW + WINDOW)).toBe(false);
    spent.spend({ holder: 'b', id: 'y', iat: NOW + WINDOW + 1 }, NOW + WINDOW + 1);
    expect(spent.size).toBe(1);
  });

  proves('G4', 'does not become good again when the clock is set back', () => {
    const spent = new SpentProofs();
    const proof = { holder: 'a', id: 'x', iat: NOW };
    expect(spent.spend(proof, NOW)).toBe(true);
    spent.spend({ holder: 'a', id: 'y', iat: NOW + 1000 }, NOW + 1000);
    expect(spent.spend(proof, NOW)).toBe(false);
    expect(spent.spend({ holder: 'a', id: 'z', iat: NOW + 1 }, NOW)).toBe(true);
  });

  it('of one holder takes no room from another; there is a bound, and then room again', () => {
    const spent = new SpentProofs();
    for (let index = 0; index < PROOFS_PER_HOLDER_MAX; index++)
      spent.spend({ holder: 'a', id: `${index}`, iat: NOW }, NOW);
    expect(spent.spend({ holder: 'a', id: 'more', iat: NOW }, NOW)).toMatchObject({ code: 'OVERLOADED' });
    expect(spent.spend({ holder: 'b', id: 'more', iat: NOW }, NOW)).toBe(true);
    const later = NOW + WINDOW + 1;
    expect(spent.spend({ holder: 'a', id: 'later', iat: later }, later)).toBe(true);
    expect(spent.size).toBe(1);
  });
});
