import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WorkerAuthority } from '../../../adapters/policy-engine/worker-authority.ts';
import type { Manifest } from '../../../control-plane/policy/manifest.ts';
import { parseManifest } from '../../../control-plane/policy/parse-manifest.ts';
import { type PolicySource, problemText } from '../../../control-plane/policy/source.ts';
import type { Json } from '../../../domain/json.ts';
import { proves } from '../../guarantees.ts';
import { keyFile, policySource, RULES, request } from '../../support/policy.ts';

function manifestOf({ manifest }: PolicySource): Manifest {
  const parsed = parseManifest(manifest.text, manifest.file);
  if (!parsed.ok) throw new Error('the manifest of this test is not valid');
  return parsed.manifest;
}

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

  describe('asked about methods', () => {
    const rules = `${RULES}
@id("notes") @reason("r") permit (principal, action == Acme::Action::"fs:resources/read", resource)
when { context.input.uri like "note:*" };
@id("sample") @reason("r") permit (principal, action == Acme::Action::"fs:sampling/createMessage", resource)
when { context.input.maxTokens <= 100 };`;
    const ask = (method: string, params: Json) => authority.authorize(request(method, params, { method }));
    beforeAll(async () => expect(await authority.install(policySource({ rules }))).toMatchObject({ ok: true }));
    afterAll(async () => expect(await authority.install(policySource())).toMatchObject({ ok: true }));

    it.each<[string, Json, string]>([
      ['resources/read', { uri: 'file:///etc/passwd' }, 'POLICY_NO_PERMIT'],
      ['resources/read', { uri: ['note:1'] }, 'ARG_INVALID'],
      ['resources/read', {}, 'ARG_INVALID'],
      ['sampling/createMessage', { maxTokens: 10 }, 'ARG_INVALID'],
      ['sampling/createMessage', { maxTokens: 101, messages: [] }, 'POLICY_NO_PERMIT'],
      ['elicitation/create', { message: 'm', requestedSchema: {} }, 'POLICY_NO_PERMIT'],
      ['resources/list', {}, 'TOOL_UNKNOWN'],
      ['toString', {}, 'TOOL_UNKNOWN'],
    ])('denies %s with %j', async (method, params, code) => {
      expect(await ask(method, params)).toMatchObject({ decision: 'deny', code });
    });

    it('allows what a rule permits, with a permit for that method', async () => {
      const answer = await ask('sampling/createMessage', {
        maxTokens: 100,
        messages: [],
        temperature: 0.5,
        newer: [1],
      });
      expect(answer).toMatchObject({ decision: 'allow', by: ['sample'] });
      const [, payload = ''] = answer.decision === 'allow' ? answer.permit.split('.') : [];
      expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
        authorization_details: [{ method: 'sampling/createMessage', tool: 'sampling/createMessage', server: 'fs' }],
      });
    });

    proves('G9', 'shows an agent the methods that some rule could allow it, beside the tools', async () => {
      const { principal } = request('read_text_file', {});
      expect([...(await authority.visible(principal))].filter((action) => action.includes(':'))).toEqual([
        'fs:resources/read',
        'fs:sampling/createMessage',
      ]);
    });
  });

  it('answers every one of many asks with its own answer', async () => {
    const asked = Array.from({ length: 300 }, (_, index) => ({ index, allowed: index % 3 !== 0 }));
    const answers = await Promise.all(
      asked.map(({ index, allowed }) =>
        authority.authorize(request('read_text_file', { path: `/${allowed ? 'srv/ws' : 'home'}/${index}` })),
      ),
    );
    expect(answers.map(({ decision }) => decision === 'allow')).toEqual(asked.map(({ allowed }) => allowed));
    const permits = answers.map((answer) => (answer.decision === 'allow' ? answer.permit : 'none'));
    expect(new Set(permits).size).toBe(201);
  });

  proves('G9', 'shows an agent the tools that some rule could allow it, and no others', async () => {
    const { principal } = request('read_text_file', {});
    expect(await authority.visible(principal)).toEqual(
      new Set(['fs/read_multiple_files', 'fs/read_text_file', 'fs/write_file']),
    );
    expect(await authority.visible({ ...principal, agent: 'guest', roles: [] })).toEqual(new Set());
    expect(await authority.visible({ ...principal, agent: 'nobody' })).toEqual(new Set());
  });

  it('refuses alike, and names the same place, whether the manifest comes parsed or as text', async () => {
    const source = policySource({ rules: `${RULES}\npermit (principal, action, resource);` });
    const manifest = { ...manifestOf(source), groups: { missing: ['fs/no_such_tool'] } };
    expect(await authority.install(source, manifest)).toEqual(await authority.install(source));
    expect(await authority.install(source, manifestOf(source))).toEqual(await authority.install(source));
  });

  it('names a policy by the manifest that is in force, parsed or as text', async () => {
    const source = policySource();
    const named = await authority.install(source);
    expect(named).toMatchObject({ ok: true });
    expect(await authority.install(source, manifestOf(source))).toEqual(named);
    const other = { ...manifestOf(source), policies: ['elsewhere/*.cedar'] };
    expect(await authority.install(source, other)).not.toEqual(named);
    expect(await authority.install(source)).toEqual(named);
  });

  it('keeps the policy in force when a new one is refused, and says where it is wrong', async () => {
    const refused = await authority.install(policySource({ rules: `${RULES}\npermit (principal, action, resource);` }));
    expect(refused.ok ? [] : refused.problems.map(problemText)).toEqual([
      'policy/fs.cedar:17:1: a rule has no @id("...")',
      'policy/fs.cedar:17:1: a rule has no @reason("...") that says what it is for',
    ]);
    const answer = await authority.authorize(request('read_text_file', { path: '/srv/ws/a' }));
    expect(answer).toMatchObject({ decision: 'allow', by: ['fs-read'] });
  });

  it('decides by a new policy as soon as it is installed, and answers what was asked before by the old one', async () => {
    const before = authority.authorize(request('write_file', { path: '/srv/ws/a', content: 'x' }));
    const installed = await authority.install(policySource({ rules: RULES.replace('<= 64', '<= 0') }));
    const after = await authority.authorize(request('write_file', { path: '/srv/ws/a', content: 'x' }));
    expect(await before).toMatchObject({ decision: 'allow' });
    expect(after).toMatchObject({
      decision: 'deny',
      code: 'POLICY_NO_PERMIT',
      policy: installed.ok && installed.digest,
    });
  });
});
