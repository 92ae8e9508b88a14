import { createHash } from 'node:crypto';
import cedar from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, it } from 'vitest';
import { canaryProblem, loadCanaries } from '../../../adapters/policy-engine/canaries.ts';
import { askCedar, CedarEngine, cedarLanguage, preparse } from '../../../adapters/policy-engine/cedar.ts';
import { assembleBundle } from '../../../control-plane/policy/assemble-bundle.ts';
import { digestWith } from '../../../control-plane/policy/bundle.ts';
import { conclude, decide, pose } from '../../../control-plane/policy/decide.ts';
import type { EngineAnswer, EngineQuestion, PathResolver } from '../../../control-plane/policy/ports.ts';
import { problemText } from '../../../control-plane/policy/source.ts';
import type { Json, JsonObject } from '../../../domain/json.ts';
import { proves } from '../../guarantees.ts';
import { MANIFEST, policySource, RULES, request } from '../../support/policy.ts';

const AS_IS: PathResolver = { real: (path) => ({ ok: true, path }) };
const digestOf = digestWith((data) => createHash('sha256').update(data).digest());

function bundleOf(rules = RULES) {
  const assembled = assembleBundle(policySource({ rules }), cedarLanguage, digestOf);
  if (!assembled.ok) throw new Error(assembled.problems.map(problemText).join('\n'));
  return assembled.bundle;
}

function problemsOf(rules: string): string[] {
  const assembled = assembleBundle(policySource({ rules }), cedarLanguage, digestOf);
  return assembled.ok ? [] : assembled.problems.map(({ message }) => message);
}

const READS_HEAD = `@id("reads-head") @reason("long heads are not read")
forbid (principal, action == Acme::Action::"fs/read_text_file", resource) when { context.input has head && context.input.head > 1000 };`;
const BUNDLE = bundleOf();
const ENGINE = new CedarEngine(BUNDLE);

function codeOf(tool: string, args: Json, overrides: Parameters<typeof request>[2] = {}): string {
  const decision = decide(BUNDLE, request(tool, args, overrides), ENGINE, AS_IS);
  return decision.decision === 'allow' ? 'allow' : decision.code;
}

/** A schema of one action with one optional and one required attribute; rules straight into the engine, past every check of ours. */
function raw(
  name: string,
  rules: Record<string, string>,
  context: JsonObject,
  entities: EngineQuestion['entities'] = [],
): EngineAnswer {
  const schema: JsonObject = {
    T: {
      entityTypes: {
        A: { shape: { type: 'Record', attributes: { team: { type: 'String' } } } },
        S: {},
      },
      actions: {
        act: {
          appliesTo: {
            principalTypes: ['A'],
            resourceTypes: ['S'],
            context: {
              type: 'Record',
              attributes: { n: { type: 'Long' }, path: { type: 'String', required: false } },
            },
          },
        },
      },
    },
  };
  preparse(name, schema, new Map(Object.entries(rules)));
  return askCedar(name, {
    principal: { type: 'T::A', id: 'a' },
    action: { type: 'T::Action', id: 'act' },
    resource: { type: 'T::S', id: 's' },
    context,
    entities,
  });
}

const ALLOW_ALL = 'permit (principal, action, resource);';

describe('what Cedar lets pass and the adapter does not', () => {
  proves('G4', 'a forbid that overflows denies: arithmetic is refused, and an error in any rule is no allow', () => {
    expect(
      problemsOf(
        `${RULES}@id("x") @reason("r") forbid (principal, action, resource) when { context.lineage.depth * 2 > 1 };`,
      ),
    ).toEqual(['arithmetic ("*") is not allowed: an overflow would skip the rule']);
    const overflow = 'forbid (principal, action, resource) when { context.n * 9223372036854775807 > 5 };';
    expect(raw('overflow', { allow: ALLOW_ALL, overflow }, { n: 4 })).toMatchObject({
      ok: true,
      allow: false,
      errors: [{ id: 'overflow' }],
    });
  });

  proves('G4', 'a forbid about an absent entity denies, and every entity a rule can reach is supplied', () => {
    const team = 'forbid (principal, action, resource) when { principal.team == "red" };';
    expect(raw('absent', { allow: ALLOW_ALL, team }, { n: 1 })).toMatchObject({
      ok: true,
      allow: false,
      errors: [{ id: 'team' }],
    });
    const posed = pose(BUNDLE, request('read_text_file', { path: '/srv/ws/a' }), AS_IS);
    expect(posed.ok && posed.question.entities).toEqual([
      { uid: { type: 'Acme::Agent', id: 'coder' }, parents: [{ type: 'Acme::Role', id: 'dev' }] },
    ]);
  });

  proves('G4', 'an argument cannot vanish between the bytes that are sent and the rules', () => {
    // In JavaScript an undefined member vanishes in JSON, and a guarded forbid with it. Arguments come from the bytes, so a member is
    // there or it is not.
    expect(() => request('read_text_file', { path: undefined } as unknown as Json)).toThrow(/canonical JSON/);
  });

  it.each<[string, Json]>([
    ['an extension', { __extn: { fn: 'ip', arg: '10.0.0.1' } }],
    ['an unknown', { __extn: { fn: 'unknown', arg: 'x' } }],
    ['an entity', { __entity: { type: 'Acme::Role', id: 'dev' } }],
  ])('an argument that smuggles %s of the engine is refused, by us and by the schema', (_, value) => {
    expect(codeOf('read_text_file', { path: value })).toBe('ARG_INVALID');
    expect(raw(`smuggled-${_}`, { allow: ALLOW_ALL }, { n: 1, path: value }).ok).toBe(false);
  });

  proves('G4', 'requests are always validated: an attribute too many is refused', () => {
    expect(raw('junk', { allow: ALLOW_ALL }, { n: 1, junk: true }).ok).toBe(false);
    expect(raw('missing', { allow: ALLOW_ALL }, {}).ok).toBe(false);
    expect(raw('fine', { allow: ALLOW_ALL }, { n: 1 })).toMatchObject({ ok: true, allow: true });
  });

  proves('G4', 'a name that is not loaded is never given to the engine', () => {
    const posed = pose(BUNDLE, request('read_text_file', { path: '/srv/ws/a' }), AS_IS);
    if (!posed.ok) throw new Error('refused');
    const other = { ...posed.question, action: { type: 'Acme::Action', id: 'fs/other' } };
    expect(ENGINE.evaluate(other)).toEqual({ ok: false, message: 'the action is not in the schema' });
  });

  it('text that would poison the engine never reaches it, and the engine still works', () => {
    const poison = `@id("x") @reason("r") permit (principal, action, resource) when { ${'('.repeat(300)}true${')'.repeat(300)} };`;
    expect(problemsOf(poison)).toEqual(['brackets are nested more than 64 deep']);
    expect(codeOf('read_text_file', { path: '/srv/ws/a' })).toBe('allow');
  });

  it.each<[string, Json]>([
    ['a fraction', 0.5],
    ['an integer beyond 64 bits', 1e20],
  ])('%s is refused, by us and by the schema', (name, value) => {
    const bundle = bundleOf(`${RULES}\n${READS_HEAD}`);
    const asked = request('read_text_file', { path: '/srv/ws/a', head: value });
    const decision = decide(bundle, asked, new CedarEngine(bundle), AS_IS);
    expect(decision.decision === 'deny' ? decision.code : 'allow').toMatch(/^ARG_/);
    expect(raw(`number-${name}`, { allow: ALLOW_ALL }, { n: value }).ok).toBe(false);
  });

  it('null never reaches the schema: where an argument is required it is refused, elsewhere it was left out', () => {
    const bundle = bundleOf(`${RULES}\n${READS_HEAD}`);
    const asked = (args: JsonObject) => decide(bundle, request('read_text_file', args), new CedarEngine(bundle), AS_IS);
    expect(asked({ path: null })).toMatchObject({ decision: 'deny', code: 'FACT_UNAVAILABLE' });
    const without = asked({ path: '/srv/ws/a' });
    const left = asked({ path: '/srv/ws/a', head: null });
    expect([left.decision, left.by]).toEqual([without.decision, without.by]);
    expect(raw('number-null', { allow: ALLOW_ALL }, { n: null }).ok).toBe(false);
  });

  it('two rules with one id are refused', () => {
    expect(problemsOf(`${RULES}${RULES}`).filter((message) => message.includes('used twice'))).toHaveLength(3);
  });

  it('the package loads under the name that works on every Node we support', () => {
    expect(cedar.getCedarVersion()).toMatch(/^4\./);
  });
});

describe('a decision', () => {
  const answer = (partial: Partial<Extract<EngineAnswer, { ok: true }>>): EngineAnswer => ({
    ok: true,
    allow: true,
    reasons: ['fs-read'],
    errors: [],
    ...partial,
  });

  it.each<[string, EngineAnswer, string, string[]]>([
    ['the engine refuses the request', { ok: false, message: 'm' }, 'POLICY_ERROR', []],
    ['an error beside an allow', answer({ errors: [{ id: 'e', message: 'm' }] }), 'POLICY_ERROR', ['e']],
    ['an error beside a forbid', answer({ allow: false, errors: [{ id: 'e', message: 'm' }] }), 'POLICY_ERROR', ['e']],
    ['an allow for no reason', answer({ reasons: [] }), 'POLICY_ERROR', []],
    ['an allow because of a forbid', answer({ reasons: ['fs-no-secrets'] }), 'POLICY_ERROR', []],
    ['an allow because of a rule that is not ours', answer({ reasons: ['fs-read', 'x'] }), 'POLICY_ERROR', []],
    [
      'a deny with reasons',
      answer({ allow: false, reasons: ['z', 'fs-no-secrets'] }),
      'POLICY_FORBID',
      ['fs-no-secrets', 'z'],
    ],
    ['a deny without', answer({ allow: false, reasons: [] }), 'POLICY_NO_PERMIT', []],
  ])('is a denial on %s', (_, engineAnswer, code, by) => {
    const decision = conclude(BUNDLE, request('read_text_file', {}), '{}', engineAnswer);
    expect(decision).toMatchObject({ decision: 'deny', code, by });
  });

  it.each<[string, string, Json, Parameters<typeof request>[2], string]>([
    ['an unknown agent', 'read_text_file', { path: '/srv/ws/a' }, { agent: 'nobody' }, 'POLICY_NO_PERMIT'],
    [
      'an agent named like a member of every object',
      'read_text_file',
      { path: '/srv/ws/a' },
      { agent: 'toString' },
      'POLICY_NO_PERMIT',
    ],
    [
      'roles that the manifest does not give',
      'read_text_file',
      { path: '/srv/ws/a' },
      { roles: ['dev', 'admin'] },
      'GOV_EPOCH_MISMATCH',
    ],
    [
      'an agent without a role',
      'read_text_file',
      { path: '/srv/ws/a' },
      { agent: 'guest', roles: [] },
      'POLICY_NO_PERMIT',
    ],
    ['an unknown tool', 'rm', {}, {}, 'TOOL_UNKNOWN'],
    ['an unknown server', 'read_text_file', { path: '/srv/ws/a' }, { server: 'sf' }, 'TOOL_UNKNOWN'],
    ['an argument too many', 'read_text_file', { path: '/srv/ws/a', mode: 'x' }, {}, 'ARG_INVALID'],
    ['a path that cannot be judged', 'read_text_file', { path: '~/a' }, {}, 'FACT_UNAVAILABLE'],
    ['one path outside', 'read_multiple_files', { paths: ['/srv/ws/a', '/etc/passwd'] }, {}, 'POLICY_NO_PERMIT'],
    ['one secret among many', 'read_multiple_files', { paths: ['/srv/ws/a', '/srv/ws/.ssh/id'] }, {}, 'POLICY_FORBID'],
    ['content one byte too long', 'write_file', { path: '/srv/ws/a', content: 'x'.repeat(65) }, {}, 'POLICY_NO_PERMIT'],
    [
      'a long text that no rule reads',
      'write_file',
      { path: '/srv/ws/a', content: 'x'.repeat(262_145) },
      {},
      'POLICY_NO_PERMIT',
    ],
    ['content that just fits', 'write_file', { path: '/srv/ws/a', content: 'x'.repeat(64) }, {}, 'allow'],
    ['all paths inside', 'read_multiple_files', { paths: ['/srv/ws/a', '/srv/ws/b'] }, {}, 'allow'],
  ])('for %s', (_, tool, args, overrides, code) => {
    expect(codeOf(tool, args, overrides)).toBe(code);
  });

  it('refuses a call that is not a root, and an agent that may not start a chain', () => {
    const child = request('read_text_file', { path: '/srv/ws/a' });
    const lineage = { ...child.lineage, depth: 1, parent: child.call };
    expect(decide(BUNDLE, { ...child, lineage }, ENGINE, AS_IS)).toMatchObject({ code: 'LINEAGE_CONTINUITY' });
    const source = policySource({
      manifest: MANIFEST.replace('roles: [dev], auth', 'roles: [dev], root: false, auth'),
    });
    const assembled = assembleBundle(source, cedarLanguage, digestOf);
    if (!assembled.ok) throw new Error('refused');
    const principal = { ...child.principal, root: false };
    expect(decide(assembled.bundle, { ...child, principal }, ENGINE, AS_IS)).toMatchObject({
      code: 'LINEAGE_NOT_ROOT',
    });
  });

  proves('G5', 'is the same for the same request, and carries what the rules saw', () => {
    const asked = request('write_file', { path: '/srv/ws/a', content: 'x' });
    const first = decide(BUNDLE, asked, ENGINE, AS_IS);
    expect(decide(bundleOf(), asked, new CedarEngine(bundleOf()), AS_IS)).toEqual(first);
    expect(first).toMatchObject({ policy: BUNDLE.digest, by: ['fs-write'] });
    expect(JSON.parse(first.inputJson ?? '')).toEqual({
      approvals: [],
      facts: { content: { bytes: 1 }, paths: { touches: [], within: ['workspace'] } },
      governance: { epoch: 1, state: 'normal' },
      lineage: {
        depth: 0,
        path: [{ __entity: { id: 'coder', type: 'Acme::Agent' } }],
        rootAgent: { __entity: { id: 'coder', type: 'Acme::Agent' } },
      },
      principal: { agent: 'coder', roles: ['dev'] },
    });
  });
});

describe('a bundle', () => {
  it('has a digest that changes with every part and not with the order of rules', () => {
    const [first = '', second = '', third = ''] = RULES.split(/(?=@id)/);
    expect(bundleOf(third + first + second).digest).toBe(BUNDLE.digest);
    expect(bundleOf(RULES.replace('<= 64', '<= 65')).digest).not.toBe(BUNDLE.digest);
    expect(bundleOf(RULES.replace('small files', 'tiny files')).digest).not.toBe(BUNDLE.digest);
  });

  it('is not asked about more than 256 KiB of what its rules read', () => {
    const bundle = bundleOf(RULES.replace('context.facts.content.bytes <= 64', 'context.input.content like "x*"'));
    const code = (length: number): string => {
      const asked = request('write_file', { path: '/srv/ws/a', content: 'x'.repeat(length) });
      const decision = decide(bundle, asked, new CedarEngine(bundle), AS_IS);
      return decision.decision === 'allow' ? 'allow' : decision.code;
    };
    expect(code(262_144)).toBe('ARG_INVALID');
    expect(code(261_000)).toBe('allow');
  });

  it('hands the engine only what the rules of an action read', () => {
    const posed = pose(BUNDLE, request('write_file', { path: '/srv/ws/a', content: 'x' }), AS_IS);
    if (!posed.ok) throw new Error('refused');
    expect(BUNDLE.slices.get('fs/write_file')?.project(posed.question.context)).toEqual({
      facts: { content: { bytes: 1 }, paths: { touches: [], within: ['workspace'] } },
    });
  });

  it('slices by action: any, this one, or one of its groups', () => {
    const slice = (tool: string) => BUNDLE.slices.get(`fs/${tool}`)?.rules.map(({ id }) => id);
    expect(slice('read_text_file')).toEqual(['fs-no-secrets', 'fs-read']);
    expect(slice('write_file')).toEqual(['fs-no-secrets', 'fs-write']);
    expect(slice('list_allowed_directories')).toEqual(['fs-no-secrets']);
  });
});

describe('the canaries', () => {
  const sound = loadCanaries();

  it('pass on a sound engine', () => {
    expect(canaryProblem(sound)).toBeUndefined();
  });

  const allowed: EngineAnswer = { ok: true, allow: true, reasons: ['sings'], errors: [] };
  const denied: EngineAnswer = { ok: true, allow: false, reasons: ['silent'], errors: [] };
  it.each<[string, (question: EngineQuestion) => EngineAnswer]>([
    ['allows everything', () => allowed],
    ['denies everything', () => denied],
    ['refuses everything', () => ({ ok: false, message: '' })],
    ['skips rules that fail', (question) => (question.context.air === 4 ? allowed : sound(question))],
    ['does not validate', (question) => ('fire' in question.context ? allowed : sound(question))],
  ])('notice an engine that %s', (_, ask) => {
    expect(canaryProblem(ask)).toBeTypeOf('string');
  });
});
