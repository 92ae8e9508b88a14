import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type AuthorityHealth,
  type AuthorityOptions,
  WorkerAuthority,
} from '../../adapters/policy-engine/worker-authority.ts';
import type { Authorization } from '../../control-plane/authorization.ts';
import { proves } from '../guarantees.ts';
import { keyFile, policySource, RULES, request } from '../support/policy.ts';

const THREAD = {
  url: new URL('../support/poisonable-authority.ts', import.meta.url),
  execArgv: ['--import', new URL('../support/typescript.mjs', import.meta.url).href],
};
const ALLOWED = request('read_text_file', { path: '/srv/ws/a' });

function outcome(answer: Authorization): string {
  return answer.decision === 'allow' ? 'allow' : answer.code;
}

describe('a deciding thread that fails', () => {
  let key = keyFile();
  let authority: WorkerAuthority;
  const health: AuthorityHealth['state'][] = [];
  let changed: () => void = () => {};

  function open(options: Partial<AuthorityOptions> = {}): WorkerAuthority {
    health.length = 0;
    return new WorkerAuthority({
      keyFile: key.file,
      instance: 'test',
      gateway: 'gw',
      thread: THREAD,
      onHealth: ({ state }) => {
        health.push(state);
        changed();
      },
      ...options,
    });
  }

  async function untilHealth(...states: AuthorityHealth['state'][]): Promise<void> {
    while (health.join() !== states.join()) {
      await new Promise<void>((resolve) => {
        changed = resolve;
      });
    }
  }

  beforeEach(async () => {
    key = keyFile();
    authority = open();
    expect(await authority.install(policySource())).toMatchObject({ ok: true });
  });
  afterEach(async () => {
    await authority.close();
    key.remove();
  });

  for (const [name, tool] of [
    ['never returns', 'never-return'],
    ['ends', 'end-the-process'],
    ['throws', 'throw-an-error'],
  ] as const) {
    proves('G4', `that ${name} denies everything pending, is replaced, and decides again`, async () => {
      const pending = [ALLOWED, request(tool, {}), ALLOWED].map((asked) => authority.authorize(asked));
      expect((await Promise.all(pending)).map(outcome)).toEqual(Array.from({ length: 3 }, () => 'POLICY_ENGINE_FAULT'));
      expect(health).toEqual(['ready', 'degraded']);
      expect(outcome(await authority.authorize(ALLOWED))).toBe('POLICY_ENGINE_FAULT');
      expect(await authority.visible(ALLOWED.principal)).toEqual(new Set());
      await untilHealth('ready', 'degraded', 'ready');
      expect(outcome(await authority.authorize(ALLOWED))).toBe('allow');
    });
  }

  proves('G4', 'whose engine is poisoned denies, is replaced, and decides again', async () => {
    expect(outcome(await authority.authorize(request('poison-the-engine', {})))).toBe('TOOL_UNKNOWN');
    expect(outcome(await authority.authorize(ALLOWED))).toBe('POLICY_ENGINE_FAULT');
    await untilHealth('ready', 'degraded', 'ready');
    expect(outcome(await authority.authorize(ALLOWED))).toBe('allow');
  });

  proves('G4', 'and cannot be replaced leaves everything denied until it can', async () => {
    const pem = readFileSync(key.file);
    rmSync(key.file);
    expect(outcome(await authority.authorize(request('end-the-process', {})))).toBe('POLICY_ENGINE_FAULT');
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(outcome(await authority.authorize(ALLOWED))).toBe('POLICY_ENGINE_FAULT');
      expect(await authority.install(policySource())).toMatchObject({ ok: false });
    }
    writeFileSync(key.file, pem);
    await untilHealth('ready', 'degraded', 'ready');
    expect(outcome(await authority.authorize(ALLOWED))).toBe('allow');
  });

  it('is replaced with the policy in force, not with one that was refused', async () => {
    expect(await authority.install(policySource({ rules: 'permit (principal, action, resource);' }))).toMatchObject({
      ok: false,
    });
    await authority.authorize(request('end-the-process', {}));
    await untilHealth('ready', 'degraded', 'ready');
    expect(outcome(await authority.authorize(ALLOWED))).toBe('allow');
    expect(outcome(await authority.authorize(request('move_file', { source: '/a', destination: '/b' })))).toBe(
      'POLICY_NO_PERMIT',
    );
  });

  it('is not waited for when the gate closes', async () => {
    const pending = authority.authorize(request('never-return', {}));
    await authority.close();
    expect(outcome(await pending)).toBe('POLICY_ENGINE_FAULT');
    expect(outcome(await authority.authorize(ALLOWED))).toBe('POLICY_ENGINE_FAULT');
  });

  proves('G4', 'before it ever started denies everything', async () => {
    const never = open({ thread: { url: new URL('file:///nowhere.js'), execArgv: [] } });
    expect(outcome(await never.authorize(ALLOWED))).toBe('GOV_POLICY_MISSING');
    expect(await never.install(policySource())).toMatchObject({ ok: false });
    expect(outcome(await never.authorize(ALLOWED))).toBe('POLICY_ENGINE_FAULT');
    await never.close();
  });

  proves('G4', 'whose engine answers its canaries wrongly never serves', async () => {
    const liar = open({ instance: 'lying-engine' });
    expect(await liar.install(policySource())).toMatchObject({
      ok: false,
      problems: [{ message: 'the policy engine did not start: the canary that must be silent sings' }],
    });
    expect(health).toEqual([]);
    expect(outcome(await liar.authorize(ALLOWED))).toBe('POLICY_ENGINE_FAULT');
    await liar.close();
  });

  proves('G4', 'on a first policy that is not valid denies everything', async () => {
    const shut = open();
    expect(await shut.install(policySource({ rules: `${RULES}permit` }))).toMatchObject({
      ok: false,
      problems: [{ file: 'policy/fs.cedar', line: 16, column: 1, message: 'a rule does not end with ";"' }],
    });
    expect(outcome(await shut.authorize(ALLOWED))).toBe('GOV_POLICY_INVALID');
    await shut.close();
  });
});
