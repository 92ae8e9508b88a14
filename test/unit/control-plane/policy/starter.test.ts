import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cedarLanguage } from '../../../../adapters/policy-engine/cedar.ts';
import { assembleBundle } from '../../../../control-plane/policy/assemble-bundle.ts';
import { digestWith } from '../../../../control-plane/policy/bundle.ts';
import { problemText, type ToolDefinition } from '../../../../control-plane/policy/source.ts';
import { starterPolicy } from '../../../../control-plane/policy/starter.ts';
import { PLAIN_METHODS } from '../../../../domain/action.ts';
import { proves } from '../../../guarantees.ts';

const digestOf = digestWith((data) => createHash('sha256').update(data).digest());

function starterRules(tools: readonly ToolDefinition[], allow: readonly string[]): string[] {
  const starter = starterPolicy({
    server: 'srv',
    command: 'node',
    args: ['a"b\n', '# x'],
    tools,
    allow,
    workspace: '/srv/ws',
  });
  const source = { manifest: starter.manifest, policies: [starter.policy], tools: [{ server: 'srv', tools }] };
  const assembled = assembleBundle(source, cedarLanguage, digestOf);
  if (!assembled.ok) throw new Error(assembled.problems.map(problemText).join('\n'));
  return [...assembled.bundle.rules.values()].map(({ id, json }) => `${json.effect} ${id}`);
}

function hostile(name: string, description: string): ToolDefinition {
  return { name, description, inputSchema: { type: 'object', properties: { [description]: { type: 'string' } } } };
}

const BREAKOUT = '\n@id("x") @reason("x") permit (principal, action, resource);\n//';

describe('a starter policy', () => {
  proves('G4', 'allows nothing that was not chosen, whatever the tools say about themselves', () => {
    expect(starterRules([hostile('a', BREAKOUT), hostile(BREAKOUT, 'b'), hostile('c\u2028d\r', '\u202e')], [])).toEqual(
      [],
    );
  });

  proves('G4', 'allows exactly the tools that were chosen', () => {
    const inline = '"); permit (principal, action, resource); //';
    const tools = [hostile('a', BREAKOUT), hostile(inline, BREAKOUT), hostile('a"b\\', '')];
    expect(starterRules(tools, [inline])).toEqual(['permit srv--permit-principal-action-resource-']);
    expect(starterRules(tools, ['a"b\\'])).toEqual(['permit srv-a-b-']);
  });

  proves('G4', 'never allows a tool whose name is not plain text', () => {
    expect(starterRules([hostile(BREAKOUT, ''), hostile('e\u0430sy', '')], [BREAKOUT, 'e\u0430sy'])).toEqual([]);
  });

  it('lists every governed method, and each is a valid rule once its comment signs are gone', () => {
    const source = { server: 'srv', command: 'node', args: [], tools: [], allow: [] };
    const { manifest, policy } = starterPolicy(source);
    const tools = [{ server: 'srv', tools: [] }];
    const rulesOf = (text: string): number => {
      const assembled = assembleBundle({ manifest, policies: [{ ...policy, text }], tools }, cedarLanguage, digestOf);
      if (!assembled.ok) throw new Error(assembled.problems.map(problemText).join('\n'));
      return assembled.bundle.rules.size;
    };
    expect(rulesOf(policy.text)).toBe(0);
    expect(rulesOf(policy.text.replace(/^\/\/ (?=@|permit)/gm, ''))).toBe(PLAIN_METHODS.length);
    for (const method of PLAIN_METHODS) expect(policy.text).toContain(`"srv:${method}"`);
  });

  it('is a valid policy for any names and descriptions', () => {
    const unit = fc.constantFrom('grapheme-ascii' as const, 'binary' as const);
    const text = unit.chain((chosen) => fc.string({ unit: chosen, minLength: 1, maxLength: 40 }));
    fc.assert(
      fc.property(fc.uniqueArray(text, { minLength: 1, maxLength: 4 }), text, (names, description) => {
        const tools = names.map((name) => hostile(name, description));
        expect(starterRules(tools, [])).toEqual([]);
        expect(starterRules(tools, names).every((rule) => rule.startsWith('permit '))).toBe(true);
        expect(starterRules(tools, names)).toHaveLength(names.filter((name) => /^[ -~]+$/.test(name)).length);
      }),
      { numRuns: 60 },
    );
  });

  it('gives tools whose names differ only in what an id cannot hold different ids', () => {
    expect(starterRules([hostile('a b', ''), hostile('a/b', '')], ['a b', 'a/b'])).toEqual([
      'permit srv-a-b',
      'permit srv-a-b-2',
    ]);
  });
});
