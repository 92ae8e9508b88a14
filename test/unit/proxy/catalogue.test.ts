import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../adapters/crypto/node-crypto.ts';
import type { JsonObject } from '../../../domain/json.ts';
import { Catalogue } from '../../../proxy/catalogue.ts';
import { exposedName, resolveName, toolsOf } from '../../../proxy/tool-names.ts';
import { definitionOf, describe as described } from '../../support/gate-world.ts';

const LAUNCH = { command: 'server' };
const READ: JsonObject = { name: 'read', description: 'reads', inputSchema: { type: 'object', properties: { a: {} } } };
const WRITE: JsonObject = { name: 'write', inputSchema: { type: 'object' } };

function pinned(...tools: JsonObject[]): Catalogue {
  const catalogue = new Catalogue(sha256);
  catalogue.pin('fs', definitionOf(described('fs', tools), LAUNCH));
  return catalogue;
}

describe('the catalogue', () => {
  it('offers what was pinned last, and nothing of what was withdrawn', () => {
    const catalogue = pinned(READ, WRITE);
    catalogue.pin('fs', definitionOf(described('fs', [READ]), LAUNCH));
    expect(catalogue.tool('fs', 'read')?.definition).toEqual(READ);
    expect([...(catalogue.server('fs')?.tools.keys() ?? [])]).toEqual(['read']);
    catalogue.withdraw('fs');
    expect(catalogue.servers()).toEqual([]);
    expect(catalogue.tool('fs', 'read')).toBeUndefined();
  });

  it('the order of members and of tools is no difference; the way to the server is', () => {
    const turned = Object.fromEntries(Object.entries(READ).toReversed());
    const one = pinned(READ, WRITE).server('fs');
    const two = pinned(WRITE, turned).server('fs');
    expect(two?.attestation).toBe(one?.attestation);
    const elsewhere = new Catalogue(sha256).pin(
      'fs',
      definitionOf(described('fs', [READ, WRITE]), { command: 'another' }),
    );
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
