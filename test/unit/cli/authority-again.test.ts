import { describe, expect, it } from 'vitest';
import { AuthorityAgain } from '../../../cli/authority-again.ts';
import type { Digest } from '../../../domain/digest.ts';
import type { JsonObject } from '../../../domain/json.ts';
import type { Scope } from '../../../domain/scope.ts';
import type { Payload } from '../../../ledger/vault.ts';
import { proves } from '../../guarantees.ts';
import { ARGS, History } from '../../support/history.ts';

const READ: Scope = [{ server: 'fs', actions: ['read'], under: { '/path': ['/w'] } }];
const ALL: Scope = [{ server: 'fs', actions: ['*'] }];
const AT_FS = { server: 'fs', tool: 'read' };

/** The verdict on a call of a history whose arguments are all these. */
function verdict({ entries }: History, call: string, args?: JsonObject) {
  const payload: Payload = {
    commitment: ARGS,
    salt: new Uint8Array(32),
    bytes: Buffer.from(JSON.stringify(args ?? {})),
  };
  const payloads = new Map<Digest, Payload>(args === undefined ? [] : [[ARGS, payload]]);
  return new AuthorityAgain(entries, payloads).of(
    call,
    entries.filter((entry) => entry.call === call),
  );
}

describe('a recorded call', () => {
  it.each([
    ['with other arguments than a scope permits', { scopes: [READ] }, { path: '/x' }],
    ['with arguments that only look like it', { scopes: [READ] }, { path: '/w/../x' }],
    ['without what a scope limits', { scopes: [READ] }, {}],
    ['of another tool than a scope permits', { scopes: [READ], tool: 'write' }, { path: '/w' }],
    ['that one of two scopes does not permit', { scopes: [ALL, READ] }, { path: '/x' }],
    ['with a scope that is none', { scopes: [[{ server: 'fs' }] as unknown as Scope] }, { path: '/w' }],
    ['that handed on more than it has', { scopes: [READ], narrowed: ALL }, { path: '/w' }],
    ['that handed on what cannot be read', { scopes: [READ], narrowed: 7 as unknown as Scope }, { path: '/w' }],
  ])('%s is found out', (_, told, args) => {
    const history = new History().intent('c', { ...AT_FS, ...told }).ending('c');
    expect(verdict(history, 'c', args)).toMatchObject({ verdict: 'mismatch' });
  });

  proves('G11', 'that stands above itself is found out', () => {
    const history = new History()
      .intent('root', AT_FS)
      .intent('b', { parent: 'root' })
      .intent('c', { parent: 'b', ...AT_FS });
    expect(verdict(history, 'c', {})).toMatchObject({
      verdict: 'mismatch',
      difference: 'the same call is above it: root',
    });
    expect(verdict(history, 'b', {})).toMatchObject({ verdict: 'match' });
  });

  it('without its arguments cannot be judged', () => {
    expect(verdict(new History().intent('c', { scopes: [READ] }), 'c')).toMatchObject({ verdict: 'not replayable' });
  });

  it('inside all of its scopes is as it should be', () => {
    const history = new History().intent('c', { ...AT_FS, scopes: [ALL, READ], narrowed: [] }).ending('c');
    expect(verdict(history, 'c', { path: '/w/a' })).toEqual({ verdict: 'match' });
  });

  it('that wanted to hand on more and was not handed over is as it should be', () => {
    const told = { ...AT_FS, scopes: [READ], narrowed: ALL };
    const history = new History().intent('c', told).ending('c', 'aborted', false);
    expect(verdict(history, 'c', { path: '/w' })).toEqual({ verdict: 'match' });
  });

  it('that stands alone, or never began, is not asked', () => {
    expect(verdict(new History().intent('c', { narrowed: ALL }), 'c', {})).toBeUndefined();
    expect(verdict(new History().denial('c'), 'c', {})).toBeUndefined();
  });
});
