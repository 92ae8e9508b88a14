import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WorkerAuthority } from '../../../adapters/policy-engine/worker-authority.ts';
import { keyFile, policySource, request } from '../../support/policy.ts';

describe('the deciding thread', () => {
  const key = keyFile();
  let authority: WorkerAuthority;

  beforeAll(async () => {
    authority = new WorkerAuthority({ keyFile: key.file, instance: 'test', gateway: 'gw' });
    expect(await authority.install(policySource())).toMatchObject({ ok: true });
  });
  afterAll(async () => {
    await authority.close();
    key.remove();
  });

  it('denies what no rule permits', async () => {
    const answer = await authority.authorize(request('move_file', { source: '/srv/ws/a', destination: '/srv/ws/b' }));
    expect(answer).toMatchObject({ decision: 'deny', code: 'POLICY_NO_PERMIT', by: [] });
  });

  it('denies what a rule forbids, and names it', async () => {
    const answer = await authority.authorize(request('read_text_file', { path: '/srv/ws/.env' }));
    expect(answer).toMatchObject({ decision: 'deny', code: 'POLICY_FORBID', by: ['fs-no-secrets'] });
  });

  it('allows with the rules that decided, the lowered limits and a permit', async () => {
    const answer = await authority.authorize(request('write_file', { path: '/srv/ws/a', content: 'x' }));
    expect(answer).toMatchObject({
      decision: 'allow',
      by: ['fs-write'],
      obligations: ['timeoutMs=5000'],
      limits: { timeoutMs: 5000, outputBytes: 1_048_576 },
    });
    expect(answer.decision === 'allow' && answer.permit.split('.').length).toBe(3);
  });
});
