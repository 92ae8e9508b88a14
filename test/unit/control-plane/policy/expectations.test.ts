import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CedarEngine, cedarLanguage } from '../../../../adapters/policy-engine/cedar.ts';
import { assembleBundle } from '../../../../control-plane/policy/assemble-bundle.ts';
import { digestWith } from '../../../../control-plane/policy/bundle.ts';
import { parseExpectations, runExpectations } from '../../../../control-plane/policy/expectations.ts';
import type { PathResolver } from '../../../../control-plane/policy/ports.ts';
import { problemText } from '../../../../control-plane/policy/source.ts';
import { policySource } from '../../../support/policy.ts';

const AS_IS: PathResolver = { real: (path) => ({ ok: true, path }) };
const assembled = assembleBundle(
  policySource(),
  cedarLanguage,
  digestWith((data) => createHash('sha256').update(data).digest()),
);
if (!assembled.ok) throw new Error('the policy of the tests is not valid');
const { bundle } = assembled;

function problemsOf(text: string): string[] {
  const parsed = parseExpectations(text, 'e.yaml', bundle);
  return parsed.ok ? [] : parsed.problems.map(problemText);
}

const row = (fields: string): string =>
  `- { name: n, agent: coder, server: fs, tool: read_text_file, expect: allow, ${fields} }\n`;

describe('a table of expectations', () => {
  it.each<[string, string, string]>([
    ['no rows', '[]', 'e.yaml:1:1: at least 1'],
    ['an unknown key', row('argument: {}'), 'e.yaml:1:77: unknown key "argument" in [0] (did you mean arguments?)'],
    [
      'an unknown agent',
      row('').replace('coder', 'codr'),
      'e.yaml:1:21: there is no agent "codr" (did you mean coder?)',
    ],
    [
      'an unknown tool',
      row('').replace('read_text_file', 'read_text_fil'),
      'e.yaml:1:46: there is no tool "fs/read_text_fil" (did you mean fs/read_text_file?)',
    ],
    [
      'an unknown outcome',
      row('').replace('allow', 'POLICY_FORBIDS'),
      'e.yaml:1:70: there is no outcome "POLICY_FORBIDS" (did you mean POLICY_FORBID?)',
    ],
    [
      'an unknown method',
      '- { name: n, agent: coder, action: "fs:resources/reed", expect: deny }\n',
      'e.yaml:1:36: there is no method "fs:resources/reed" (did you mean fs:resources/read?)',
    ],
    [
      'a tool that is named twice',
      row('action: fs/read_text_file'),
      'e.yaml:1:3: what is called is named in one way: action (server/tool or server:method), or server and tool',
    ],
    [
      'nothing that is called',
      '- { name: n, agent: coder, expect: deny }\n',
      'e.yaml:1:3: what is called is named in one way: action (server/tool or server:method), or server and tool',
    ],
    ['an unknown rule', row('by: fs-reed'), 'e.yaml:1:81: there is no rule "fs-reed" (did you mean fs-read?)'],
  ])('is refused with %s', (_, text, problem) => {
    expect(problemsOf(text)).toEqual([problem]);
  });

  it.each<[string, string, boolean, string]>([
    ['an allow', 'arguments: { path: /srv/ws/a }', true, 'allow by fs-read'],
    ['an allow that did not come', 'arguments: { path: /etc/a }', false, 'POLICY_NO_PERMIT'],
    ['an allow by another rule', 'arguments: { path: /srv/ws/a }, by: fs-write', false, 'allow by fs-read'],
  ])('judges %s', (_, fields, passed, got) => {
    const parsed = parseExpectations(row(fields), 'e.yaml', bundle);
    if (!parsed.ok) throw new Error(parsed.problems.map(problemText).join());
    expect(runExpectations(bundle, parsed.expectations, new CedarEngine(bundle), AS_IS)).toMatchObject([
      { passed, got },
    ]);
  });

  it.each<[string, string]>([
    ['{ action: fs/read_text_file, arguments: { path: /srv/ws/a }, expect: allow, by: fs-read', 'allow by fs-read'],
    ['{ action: "fs:resources/read", arguments: { uri: "file:///srv/ws/a" }, expect: deny', 'POLICY_NO_PERMIT'],
    ['{ action: "fs:resources/read", arguments: { uri: 1 }, expect: ARG_INVALID', 'ARG_INVALID'],
  ])('takes the id of an action: %s', (fields, got) => {
    const parsed = parseExpectations(`- ${fields}, name: n, agent: coder }`, 'e.yaml', bundle);
    if (!parsed.ok) throw new Error(parsed.problems.map(problemText).join());
    expect(runExpectations(bundle, parsed.expectations, new CedarEngine(bundle), AS_IS)).toMatchObject([
      { passed: true, got },
    ]);
  });

  it('takes "deny" for every denial and a code for exactly one', () => {
    for (const [expected, passed] of [
      ['deny', true],
      ['POLICY_FORBID', true],
      ['POLICY_NO_PERMIT', false],
    ] as const) {
      const text = row('arguments: { path: /srv/ws/.env }').replace('allow', expected);
      const parsed = parseExpectations(text, 'e.yaml', bundle);
      if (!parsed.ok) throw new Error(parsed.problems.map(problemText).join());
      expect(runExpectations(bundle, parsed.expectations, new CedarEngine(bundle), AS_IS)).toMatchObject([{ passed }]);
    }
  });
});
