import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { cedarLanguage } from '../../../../adapters/policy-engine/cedar.ts';
import { assembleBundle } from '../../../../control-plane/policy/assemble-bundle.ts';
import { digestWith } from '../../../../control-plane/policy/bundle.ts';
import { problemText } from '../../../../control-plane/policy/source.ts';
import { visibleActions } from '../../../../control-plane/policy/visible.ts';
import { proves } from '../../../guarantees.ts';
import { MANIFEST, policySource, request } from '../../../support/policy.ts';

const { principal } = request('read_text_file', {});

function visible(rules: readonly string[], agent = 'coder'): string[] {
  const text = rules.map((rule, index) => `@id("r${index}") @reason("r") ${rule}`).join('\n');
  const assembled = assembleBundle(
    policySource({ rules: text }),
    cedarLanguage,
    digestWith((data) => createHash('sha256').update(data).digest()),
  );
  if (!assembled.ok) throw new Error(assembled.problems.map(problemText).join('\n'));
  return visibleActions(assembled.bundle, { ...principal, agent });
}

const MOVE = 'action == Acme::Action::"fs/move_file"';
const READ = 'action in Acme::Action::"fs.read"';

describe('the tools an agent can see', () => {
  proves('G9', 'are none without a rule', () => {
    expect(visible([])).toEqual([]);
  });

  it.each<[string, string[], string[]]>([
    ['a permit for somebody else', [`permit (principal == Acme::Agent::"guest", ${MOVE}, resource);`], []],
    ['a permit for another role', [`permit (principal in Acme::Role::"ops", ${MOVE}, resource);`], []],
    ['a permit for the role', [`permit (principal in Acme::Role::"dev", ${MOVE}, resource);`], ['fs/move_file']],
    [
      'a permit with conditions',
      [`permit (principal, ${MOVE}, resource) when { context.input.source == "a" };`],
      ['fs/move_file'],
    ],
    [
      'a permit for a group',
      [`permit (principal is Acme::Agent in Acme::Role::"dev", ${READ}, resource);`],
      ['fs/read_multiple_files', 'fs/read_text_file'],
    ],
    [
      'a forbid without conditions',
      [`permit (principal, ${MOVE}, resource);`, `forbid (principal, ${MOVE}, resource);`],
      [],
    ],
    [
      'a forbid with conditions',
      [
        `permit (principal, ${MOVE}, resource);`,
        `forbid (principal, ${MOVE}, resource) unless { context.input.source == "a" };`,
      ],
      ['fs/move_file'],
    ],
    [
      'a forbid for somebody else',
      [`permit (principal, ${MOVE}, resource);`, `forbid (principal == Acme::Agent::"guest", ${MOVE}, resource);`],
      ['fs/move_file'],
    ],
    ['a permit for another server', [`permit (principal, ${MOVE}, resource == Acme::Server::"web");`], []],
  ])('follow %s', (_, rules, tools) => {
    expect(visible(rules)).toEqual(tools);
  });

  it('are none for an agent that the manifest does not name', () => {
    expect(visible(['permit (principal, action, resource);'], 'nobody')).toEqual([]);
  });
});

describe('a server whose tools are not known yet', () => {
  const away = (rules: readonly string[]): string[] => {
    const text = rules.map((rule, index) => `@id("r${index}") @reason("r") ${rule}`).join('\n');
    const manifest = MANIFEST.replace('servers:\n', 'servers:\n  away: { stdio: { command: node } }\n').replace(
      'groups:\n',
      'groups:\n  away.all: [away/anything]\n',
    );
    const assembled = assembleBundle(
      policySource({ manifest, rules: text }),
      cedarLanguage,
      digestWith((data) => createHash('sha256').update(data).digest()),
    );
    if (!assembled.ok) throw new Error(assembled.problems.map(problemText).join('\n'));
    return visibleActions(assembled.bundle, principal).filter((action) => action.startsWith('away'));
  };

  it.each<[string, string[], boolean]>([
    ['there is no rule about it', [`permit (principal, ${MOVE}, resource);`], false],
    ['a permit is for somebody else', ['permit (principal == Acme::Agent::"guest", action, resource);'], false],
    ['a permit names one of its actions', ['permit (principal, action == Acme::Action::"away/x", resource);'], true],
    [
      'a permit names a group of its actions',
      ['permit (principal, action in Acme::Action::"away.all", resource);'],
      true,
    ],
    ['a permit names it', ['permit (principal, action, resource == Acme::Server::"away");'], true],
    ['a permit is about another server', ['permit (principal, action, resource == Acme::Server::"fs");'], false],
    [
      'a forbid without conditions is about all of it',
      ['permit (principal, action, resource);', 'forbid (principal, action, resource == Acme::Server::"away");'],
      false,
    ],
  ])('%s', (_, rules, known) => {
    expect(away(rules)).toEqual(known ? ['away:tools/call'] : []);
  });
});
