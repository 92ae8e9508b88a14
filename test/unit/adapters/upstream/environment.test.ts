// What a server's process may know: refusals first.

import { describe, expect, it } from 'vitest';
import { serverEnvironment } from '../../../../adapters/upstream/stdio/environment.ts';

const NOTHING = { set: {}, inherit: [] };

describe('a variable that makes programs load other code', () => {
  for (const name of [
    'NODE_OPTIONS',
    'node_options',
    'NODE_PATH',
    'LD_PRELOAD',
    'LD_LIBRARY_PATH',
    'LD_AUDIT',
    'DYLD_INSERT_LIBRARIES',
    'PYTHONPATH',
    'PYTHONSTARTUP',
    'PYTHONWARNINGS',
    'DOTNET_STARTUP_HOOKS',
    'BASH_ENV',
    'ENV',
    'PERL5OPT',
    'RUBYOPT',
    'GIT_SSH_COMMAND',
    'npm_config_registry',
    'NPM_CONFIG_REGISTRY',
    'SSLKEYLOGFILE',
    'NODE_EXTRA_CA_CERTS',
    'NODE_TLS_REJECT_UNAUTHORIZED',
    'BASH_FUNC_ls',
  ]) {
    it(`${name} is refused, whether set or taken over`, () => {
      const refusal = { ok: false, reason: `the environment variable ${name} may not be given to a server` };
      expect(serverEnvironment({}, { set: { [name]: 'x' }, inherit: [] })).toEqual(refusal);
      expect(serverEnvironment({ [name]: 'x' }, { set: {}, inherit: [name] })).toEqual(refusal);
      expect(serverEnvironment({ [name]: 'x' }, NOTHING)).toEqual({ ok: true, env: {} });
    });
  }
});

for (const [what, name, value] of [
  ['an empty name', '', 'x'],
  ['a name with an equals sign', 'A=B', 'x'],
  ['a name with a zero byte', 'A\0B', 'x'],
  ['a name with a space', 'A B', 'x'],
  ['a value with a zero byte', 'A', 'x\0B=y'],
] as const) {
  it(`${what} is refused`, () => {
    expect(serverEnvironment({}, { set: { [name]: value }, inherit: [] }).ok).toBe(false);
  });
}

it('takes over the usual variables and no other', () => {
  const ours = { PATH: '/bin', HOME: '/h', LC_ALL: 'C', SECRET: 's', LCX: 'no', SHELL: '() { x; }', TZ: undefined };
  expect(serverEnvironment(ours, NOTHING)).toEqual({ ok: true, env: { HOME: '/h', LC_ALL: 'C', PATH: '/bin' } });
});

it('lets what is set win over what is taken over', () => {
  const choice = { set: { HOME: '/set', A: '' }, inherit: ['EXTRA', 'ABSENT'] };
  expect(serverEnvironment({ HOME: '/ours', EXTRA: 'e' }, choice)).toEqual({
    ok: true,
    env: { A: '', EXTRA: 'e', HOME: '/set' },
  });
});
