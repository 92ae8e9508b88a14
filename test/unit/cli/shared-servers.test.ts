// One gate, several clients: whose variables a server has.

import { describe, expect, it } from 'vitest';
import { SharedVariables, variableNames } from '../../../cli/shared-servers.ts';
import { CALL_OUTPUT_BYTES_DEFAULT, CALL_TIMEOUT_MS_DEFAULT } from '../../../control-plane/policy/limits.ts';
import type { ManifestServer } from '../../../control-plane/policy/manifest.ts';
import { proves } from '../../guarantees.ts';

describe('the variables of a server that clients share', () => {
  proves('G1', 'refuse whoever comes with another value for one that is stated, and stay as they are', () => {
    const variables = new SharedVariables(['TOKEN'], {});
    expect(variables.take({ TOKEN: 'one', PATH: '/a' })).toBe(true);
    expect(variables.take({ TOKEN: 'two', PATH: '/b' })).toBe(false);
    expect(variables.take({ PATH: '/b' })).toBe(false);
    expect({ ...variables.all }).toEqual({ TOKEN: 'one', PATH: '/a' });
  });

  it('are those of whoever came last where nothing is stated', () => {
    const variables = new SharedVariables(['TOKEN'], { TOKEN: 'of the gate', LEFT: 'over' });
    expect(variables.take({ TOKEN: 'one', PATH: '/a' })).toBe(true);
    expect(variables.take({ TOKEN: 'one', PATH: '/b' })).toBe(true);
    expect({ ...variables.all }).toEqual({ TOKEN: 'one', PATH: '/b' });
  });

  it('may be called like what every object has', () => {
    const variables = new SharedVariables(['constructor'], {});
    expect(variables.take({})).toBe(true);
    expect(variables.all.constructor).toBeUndefined();
    expect(variables.take(JSON.parse('{"constructor":"x","__proto__":"y"}'))).toBe(false);
  });
});

it('stated are names of the environment, of headers and of the gate’s own credentials', () => {
  const limits = { timeoutMs: CALL_TIMEOUT_MS_DEFAULT, outputBytes: CALL_OUTPUT_BYTES_DEFAULT };
  const of = (server: Partial<ManifestServer>): readonly string[] =>
    variableNames({ isolation: 'shared', limits, ...server });
  expect(of({ stdio: { command: 'x', args: [], env: { allow: ['A'], set: { B: 'b' } } } })).toEqual(['A']);
  const headers = { Authorization: { env: 'H' } };
  const remote = { url: 'https://h.example/', headers, auth: { env: 'T' } };
  const oauth = { grant: 'client_credentials', clientSecretEnv: 'S', privateKeyEnv: 'K' } as const;
  expect(of({ http: { ...remote, oauth } })).toEqual(['H', 'T', 'S', 'K']);
});
