import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../adapters/crypto/node-crypto.ts';
import type { JsonObject } from '../../../domain/json.ts';
import { Catalogue } from '../../../proxy/catalogue.ts';
import { exposedName, resolveName, toolsOf } from '../../../proxy/tool-names.ts';
import { proves } from '../../guarantees.ts';
import { describe as described } from '../../support/gate-world.ts';

const LAUNCH = { command: 'server' };
const READ: JsonObject = { name: 'read', description: 'reads', inputSchema: { type: 'object', properties: { a: {} } } };
const WRITE: JsonObject = { name: 'write', inputSchema: { type: 'object' } };

function pinned(...tools: JsonObject[]): Catalogue {
  const catalogue = new Catalogue(sha256);
  catalogue.observe(described('fs', tools), LAUNCH);
  return catalogue;
}

describe('the catalogue', () => {
  it('pins what it sees first, and shows that', () => {
    const catalogue = pinned(READ, WRITE);
    catalogue.observe(described('fs', [{ ...READ, description: 'reads, and more' }, WRITE]), LAUNCH);
    expect(catalogue.tool('fs', 'read')?.definition).toEqual(READ);
    expect([...(catalogue.server('fs')?.tools.keys() ?? [])]).toEqual(['read', 'write']);
  });

  it('says how another server of that name compares, and pins nothing of it', () => {
    const catalogue = pinned(READ, WRITE);
    const other = { ...READ, description: 'else' };
    const likeness = (...tools: JsonObject[]) => catalogue.likeness(described('fs', tools));
    expect([likeness(), likeness(READ), likeness(WRITE, other), likeness(WRITE, READ, { name: 'x' })]).toEqual([
      'different',
      'different',
      'different',
      'more',
    ]);
    expect(likeness(WRITE, { ...READ })).toBe('same');
    expect(catalogue.likeness(described('git', [READ, WRITE]))).toBe('different');
    expect(catalogue.drifted('fs', 'read')).toBe(false);
    expect(catalogue.tool('fs', 'x')).toBeUndefined();
  });

  const DRIFTS: readonly (readonly [string, JsonObject[]])[] = [
    ['another description', [{ ...READ, description: 'reads.' }, WRITE]],
    ['another schema', [{ ...READ, inputSchema: { type: 'object' } }, WRITE]],
    ['a member more', [{ ...READ, annotations: { readOnlyHint: true } }, WRITE]],
    ['a member less', [{ name: 'read', inputSchema: READ.inputSchema as JsonObject }, WRITE]],
    ['its removal', [WRITE]],
    ['an empty list', []],
  ];
  for (const [what, tools] of DRIFTS) {
    proves('G4', `a tool drifts by ${what}, and is itself again when that is taken back`, () => {
      const catalogue = pinned(READ, WRITE);
      catalogue.observe(described('fs', tools), LAUNCH);
      expect(catalogue.drifted('fs', 'read')).toBe(true);
      expect(catalogue.drifted('fs', 'write')).toBe(tools.length === 0);
      catalogue.observe(described('fs', [READ, WRITE]), LAUNCH);
      expect(catalogue.drifted('fs', 'read')).toBe(false);
    });
  }

  it('a tool that appears later is not served, and no drift of the others', () => {
    const catalogue = pinned(READ);
    catalogue.observe(described('fs', [READ, WRITE]), LAUNCH);
    expect(catalogue.tool('fs', 'write')).toBeUndefined();
    expect(catalogue.drifted('fs', 'read')).toBe(false);
  });

  it('the order of members and of tools is no difference; the way to the server is', () => {
    const turned = Object.fromEntries(Object.entries(READ).toReversed());
    const one = pinned(READ, WRITE).server('fs');
    const two = pinned(WRITE, turned).server('fs');
    expect(two?.attestation).toBe(one?.attestation);
    const elsewhere = new Catalogue(sha256).observe(described('fs', [READ, WRITE]), { command: 'another' });
    expect(elsewhere.attestation).not.toBe(one?.attestation);
  });

  it('takes names as they are, even those of objects', () => {
    const names = ['__proto__', 'constructor', 'toString', '', 'read ', 'READ'];
    const catalogue = pinned(READ, ...names.map((name) => ({ name })));
    for (const name of names) expect(catalogue.tool('fs', name)?.definition).toEqual({ name });
    expect(catalogue.tool('fs', 'hasOwnProperty')).toBeUndefined();
    expect(catalogue.tool('__proto__', 'read')).toBeUndefined();
  });
});

describe('names', () => {
  it('come back as what they stand for', () => {
    const catalogue = pinned(READ, { name: 'a__b' }, { name: '__c' });
    for (const view of [{ kind: 'all' }, { kind: 'server', server: 'fs' }] as const) {
      for (const { server, name } of toolsOf(view, catalogue)) {
        expect(resolveName(view, exposedName(view, server, name))).toEqual({ server, tool: name });
      }
    }
  });

  it.each(['', 'read', '__read', 'fs_read', '_'])('%j names no server in the view of all', (name) => {
    expect(resolveName({ kind: 'all' }, name)).toBeUndefined();
  });
});
