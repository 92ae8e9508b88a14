// What rules may ask of earlier calls: only where the manifest says so, only what is known, and again what was recorded.

import { describe, expect, it } from 'vitest';
import { sha256 } from '../../adapters/crypto/node-crypto.ts';
import { CedarEngine, cedarLanguage } from '../../adapters/policy-engine/cedar.ts';
import { fileSystemPaths } from '../../adapters/policy-engine/path-resolver.ts';
import type { HistoryFacts } from '../../control-plane/authorization.ts';
import { assembleBundle } from '../../control-plane/policy/assemble-bundle.ts';
import { type Bundle, digestWith } from '../../control-plane/policy/bundle.ts';
import { decide } from '../../control-plane/policy/decide.ts';
import { parseExpectations } from '../../control-plane/policy/expectations.ts';
import { redecide } from '../../control-plane/policy/redecide.ts';
import type { JsonObject } from '../../domain/json.ts';
import { proves } from '../guarantees.ts';
import { MANIFEST, policySource, RULES, request } from '../support/policy.ts';

const ASKING = `${MANIFEST}history: { used: { fs.read: 60000 } }\n`;
const FORBID = (condition: string): string => `${RULES}
@id("history") @reason("what was done before counts")
forbid (principal, action, resource == Acme::Server::"fs") when { ${condition} };
`;
const KNOWN: HistoryFacts = { firstUse: false, newShape: false, rate: 1, burst: 100, agentUsed: [], chainUsed: [] };
const READ = { path: '/srv/ws/a' };

function assembled(manifest: string, rules = RULES) {
  return assembleBundle(policySource({ manifest, rules }), cedarLanguage, digestWith(sha256));
}

function bundleOf(manifest: string, rules?: string): Bundle {
  const made = assembled(manifest, rules);
  if (!made.ok) throw new Error(made.problems.map(({ message }) => message).join('; '));
  return made.bundle;
}

function decided(bundle: Bundle, history?: HistoryFacts) {
  const asked = request('read_text_file', READ, history === undefined ? {} : { history });
  return decide(bundle, asked, new CedarEngine(bundle), fileSystemPaths);
}

describe('what was done before', () => {
  proves('G4', 'denies where rules ask for it and it is not known', () => {
    expect(decided(bundleOf(ASKING))).toMatchObject({ decision: 'deny', code: 'FACT_UNAVAILABLE' });
  });

  it('is not there for rules of a manifest that does not ask for it', () => {
    const made = assembled(MANIFEST, FORBID('context.history.firstUse'));
    expect(made).toMatchObject({ ok: false });
    const answer = decided(bundleOf(MANIFEST), KNOWN);
    expect(answer).toMatchObject({ decision: 'allow' });
    expect(JSON.parse(answer.inputJson ?? '')).not.toHaveProperty('history');
  });

  it('leaves the digest of such a policy as it ever was', () => {
    expect(bundleOf(MANIFEST).digest).toBe('sha256:pf6VA7H3jYE_0O54c1IaPdO2vdEwONSz38WydvGoKYw');
    expect(bundleOf(`${MANIFEST}anomalies: { agents: { denials: 9 } }\n`).digest).not.toBe(bundleOf(MANIFEST).digest);
  });

  it.each([
    ['a misspelt fact', 'context.history.firstTime'],
    ['a text for a number', 'context.history.rate > "20"'],
    ['a number for a group', 'context.history.agentUsed.contains(1)'],
  ])('is checked like everything that rules say: %s', (_, condition) => {
    expect(assembled(ASKING, FORBID(condition))).toMatchObject({ ok: false });
  });

  it.each([
    ['context.history.firstUse', { firstUse: true }],
    ['context.history.newShape', { newShape: true }],
    ['context.history.rate > 20', { rate: 21 }],
    ['context.history.rate > 5 && context.history.burst >= 300', { rate: 6, burst: 300 }],
    ['context.history.agentUsed.contains("fs.read")', { agentUsed: ['fs.read'] }],
    ['context.history.chainUsed.contains("fs.read")', { chainUsed: ['fs.read'] }],
  ] as const)('decides, and is recorded, and decides the same again: %s', (condition, fact) => {
    const bundle = bundleOf(ASKING, FORBID(condition));
    expect(decided(bundle, KNOWN)).toMatchObject({ decision: 'allow' });
    const denied = decided(bundle, { ...KNOWN, ...fact });
    expect(denied).toMatchObject({ decision: 'deny', code: 'POLICY_FORBID', by: ['history'] });
    const { inputJson = '' } = denied;
    expect(JSON.parse(inputJson)).toMatchObject({ history: { ...KNOWN, ...fact } });
    const again = redecide(bundle, request('read_text_file', READ), inputJson, new CedarEngine(bundle));
    expect(again).toMatchObject({ decision: 'deny', code: 'POLICY_FORBID', by: ['history'] });
  });

  it('is not made up where the record has none of it, or another', () => {
    const bundle = bundleOf(ASKING);
    const input = JSON.parse(decided(bundle, KNOWN).inputJson ?? '') as JsonObject;
    for (const history of [undefined, null, {}, { ...KNOWN, rate: 1.5 }, { ...KNOWN, more: 1 }]) {
      const { history: _, ...rest } = input;
      const recorded = JSON.stringify(history === undefined ? rest : { ...rest, history });
      const again = redecide(bundle, request('read_text_file', READ), recorded, new CedarEngine(bundle));
      expect(again).toHaveProperty('unusable');
    }
  });
});

describe('a manifest', () => {
  it.each([
    ['history: { used: { nothing: 60000 } }', 'there is no group "nothing"'],
    ['history: { used: { fs.read: 10 } }', 'fs.read'],
    ['history: { first: true }', 'unknown key "first"'],
    ['anomalies: { agents: { restarts: 5 } }', 'unknown key "restarts"'],
    ['anomalies: { agents: { denials: 1 } }', 'denials'],
    ['anomalies: { servers: { errors: 100001 } }', 'errors'],
    ['anomalies: { servers: { windowMs: 3600001 } }', 'windowMs'],
    ['anomalies: false', 'anomalies'],
  ])('that says %s is refused', (said, why) => {
    const made = assembled(`${MANIFEST}${said}\n`);
    expect(made.ok ? [] : made.problems.map(({ message, line }) => ({ message, line }))).toEqual([
      { message: expect.stringContaining(why), line: MANIFEST.split('\n').length },
    ]);
  });
});

describe('a table of expectations', () => {
  const row = (history: string): string =>
    `- { name: x, agent: coder, action: fs/read_text_file, arguments: { path: /srv/ws/a }, expect: allow, history: ${history} }\n`;

  it.each([
    ['of a policy that does not ask', MANIFEST, '{ rate: 1 }', 'the manifest does not ask for history'],
    ['of a group that nobody asks about', ASKING, '{ agentUsed: [fs.write] }', 'there is no group that is asked about'],
    ['of a fact that there is not', ASKING, '{ firstTime: true }', 'unknown key "firstTime"'],
  ])('%s is a problem, not a pass', (_, manifest, history, why) => {
    const parsed = parseExpectations(row(history), 'table.yaml', bundleOf(manifest));
    expect(parsed.ok ? [] : parsed.problems.map(({ message }) => message)).toEqual([expect.stringContaining(why)]);
  });
});
