import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PERMIT_CHECKS } from '../../proxy/permit-checks.ts';
import { vectorKey, vectorPermit } from '../support/permit-vector.ts';

const page = readFileSync(new URL('../../docs/formats/permit.md', import.meta.url), 'utf8');
const blocks = [...page.matchAll(/```(?:json)?\n([^`]*)\n```/g)].map(([, text = '']) => text);

describe('the permit as it is documented', () => {
  it('is, byte for byte, the permit that we write', () => {
    const [publicKey, header, payload, permit] = blocks;
    const [head, body] = vectorPermit().split('.');
    expect(Buffer.from(vectorKey.publicKey).toString('hex')).toBe(publicKey);
    expect(Buffer.from(head ?? '', 'base64url').toString()).toBe(header);
    expect(Buffer.from(body ?? '', 'base64url').toString()).toBe(payload);
    expect(vectorPermit()).toBe(permit?.replaceAll('\n', ''));
  });

  it('is checked in the order that we check in, code by code', () => {
    const documented = [...page.matchAll(/^\| \d [a-z ]+\| `([A-Z_]+)` \| (.*) \|$/gm)].map(([, code, compared]) => [
      code,
      compared,
    ]);
    const order = new Map<string, string[]>();
    for (const { code, name } of PERMIT_CHECKS) {
      order.set(code, [...(order.get(code) ?? []), name.slice(code.length + 2)]);
    }
    expect(documented).toEqual([...order].map(([code, compared]) => [code, compared.join('; ')]));
  });
});
