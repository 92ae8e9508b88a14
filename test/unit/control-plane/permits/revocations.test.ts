import { describe, expect, it } from 'vitest';
import { REVOCATION_KINDS, type Revocation, Revocations } from '../../../../control-plane/permits/revocations.ts';

const first: Revocation = { number: 1, kind: 'agent', id: 'coder', at: 1 };
const second: Revocation = { number: 2, kind: 'tool', id: 'fs/write_file', at: 2 };

describe('Revocations', () => {
  it('says that it is stale when one is missing, and takes nothing in', () => {
    const revocations = new Revocations();
    expect(revocations.apply(second)).toMatchObject({ code: 'GOV_REVOCATION_STALE' });
    expect(revocations.has('tool', second.id)).toBe(false);
    expect(revocations.number).toBe(0);
  });

  it.each([0, -1, 1.5, Number.NaN])('says that it is stale at the number %d', (number) => {
    expect(new Revocations().apply({ ...first, number })).toMatchObject({ code: 'GOV_REVOCATION_STALE' });
  });

  it('says that it is stale when a known one comes with other content', () => {
    const revocations = new Revocations();
    revocations.apply(first);
    expect(revocations.apply({ ...first, id: 'reviewer' })).toMatchObject({ code: 'GOV_REVOCATION_STALE' });
    expect(revocations.apply({ ...first, kind: 'server' })).toMatchObject({ code: 'GOV_REVOCATION_STALE' });
  });

  it('says that it is stale at a kind it does not know', () => {
    const kind = 'planet' as Revocation['kind'];
    expect(new Revocations().apply({ ...first, kind })).toMatchObject({ code: 'GOV_REVOCATION_STALE' });
  });

  it('takes the same one twice without harm', () => {
    const revocations = new Revocations();
    expect([revocations.apply(first), revocations.apply(first)]).toEqual([undefined, undefined]);
    expect(revocations.number).toBe(1);
  });

  it('knows what it took in, by kind and id', () => {
    const revocations = new Revocations();
    revocations.apply(first);
    revocations.apply(second);
    expect(revocations.has('agent', 'coder')).toBe(true);
    expect(revocations.has('tool', 'fs/write_file')).toBe(true);
    for (const kind of REVOCATION_KINDS) {
      if (kind !== 'agent') expect(revocations.has(kind, 'coder')).toBe(false);
    }
  });
});
