import { describe, expect, it } from 'vitest';
import { cedarLanguage } from '../../../../adapters/policy-engine/cedar.ts';
import { lintRules } from '../../../../control-plane/policy/lint.ts';
import { parseManifest } from '../../../../control-plane/policy/parse-manifest.ts';
import type { PolicyLanguage } from '../../../../control-plane/policy/ports.ts';
import { buildSchema } from '../../../../control-plane/policy/schema.ts';
import { problemText } from '../../../../control-plane/policy/source.ts';
import { proves } from '../../../guarantees.ts';
import { FILE_TOOLS, MANIFEST, RULES } from '../../../support/policy.ts';

function schema() {
  const parsed = parseManifest(MANIFEST, 'p.yaml');
  if (!parsed.ok) throw new Error('the manifest of the tests is not valid');
  const built = buildSchema(parsed.manifest, parsed.document, [FILE_TOOLS]);
  if (!built.ok) throw new Error('the schema of the tests is not valid');
  return built.model.schema;
}
const SCHEMA = schema();

function problemsOf(text: string, language: PolicyLanguage = cedarLanguage): string[] {
  const result = lintRules([{ file: 'a.cedar', text }], SCHEMA, language);
  return result.ok ? [] : result.problems.map(problemText);
}

const HEAD = '@id("x")\n@reason("r")\n';
const READ = 'permit (principal, action == Acme::Action::"fs/read_text_file", resource)';

/** An engine that must not be asked. */
const UNTOUCHED: PolicyLanguage = {
  ...cedarLanguage,
  parse() {
    throw new Error('the engine saw the text');
  },
};

describe('rules', () => {
  it.each<[string, string, string[]]>([
    ['without an id', `@reason("r")\n${READ};`, ['a.cedar:1:1: a rule has no @id("...")']],
    ['without a reason', `@id("x")\n${READ};`, ['a.cedar:1:1: a rule has no @reason("...") that says what it is for']],
    [
      'with one id twice',
      `${HEAD}${READ};\n\n${HEAD}${READ};`,
      ['a.cedar:5:1: the id "x" is used twice: first in a.cedar:1'],
    ],
    [
      'with a misspelt annotation',
      `${HEAD}@obligaton("timeoutMs=1")\n${READ};`,
      ['a.cedar:1:1: unknown annotation @obligaton (did you mean @obligation?)'],
    ],
    [
      'with an unknown obligation',
      `${HEAD}@obligation("notify=#x")\n${READ};`,
      ['a.cedar:1:1: unknown obligation "notify=#x": write "timeoutMs=5000" or "outputBytes=65536"'],
    ],
    [
      'with an obligation on a forbid',
      `${HEAD}@obligation("timeoutMs=1")\nforbid (principal, action, resource);`,
      ['a.cedar:1:1: only a permit can have an @obligation'],
    ],
    [
      'with arithmetic',
      `${HEAD}${READ} when { context.lineage.depth * 2 > 5 };`,
      ['a.cedar:1:1: arithmetic ("*") is not allowed: an overflow would skip the rule'],
    ],
    [
      'with a negation of an attribute',
      `${HEAD}${READ} when { -context.lineage.depth < 5 };`,
      ['a.cedar:1:1: arithmetic ("-") is not allowed: an overflow would skip the rule'],
    ],
    [
      'that are templates',
      `${HEAD}permit (principal == ?principal, action, resource);`,
      [
        'a.cedar:3:22: failed to parse policy from string: expected a static policy, got a template containing the slot ?principal (try removing the template slot(s) from this policy)',
      ],
    ],
    [
      'about a tool that does not exist',
      `${HEAD}permit (principal, action == Acme::Action::"fs/read_text_fil", resource);`,
      [
        'a.cedar:3:30: for policy `x`, unrecognized action `Acme::Action::"fs/read_text_fil"` (did you mean `Acme::Action::"fs/read_text_file"`?)',
        'a.cedar:1:1: for policy `x`, unable to find an applicable action given the policy scope constraints',
        'a.cedar:1:1: for policy `x`, policy is impossible: the policy expression evaluates to false for all valid requests',
      ],
    ],
    [
      'about an argument that does not exist',
      `// é\n${HEAD}${READ}\nwhen { context.input.pth == "é" };`,
      [
        'a.cedar:5:8: for policy `x`, attribute `input.pth` in context for Acme::Action::"fs/read_text_file" not found (did you mean `path`?)',
      ],
    ],
    [
      'that can never apply',
      `${HEAD}${READ} when { context.input.path == "a" && false };`,
      [
        'a.cedar:1:1: for policy `x`, policy is impossible: the policy expression evaluates to false for all valid requests',
      ],
    ],
    [
      'with a pattern that is slow to match',
      `${HEAD}${READ} when { context.input.path like "${'*a'.repeat(9)}" };`,
      ['a.cedar:1:1: a pattern of "like" has more than 8 "*"'],
    ],
    ['that do not end', `${HEAD}${READ}`, ['a.cedar:1:1: a rule does not end with ";"']],
    ['with a string that does not end', `${HEAD}${READ} when { "a };`, ['a.cedar:3:82: a string does not end']],
    ['with a bracket too many', `${HEAD}${READ}) when { true };`, ['a.cedar:3:74: ")" closes nothing']],
    ['with brackets crossed', `${HEAD}${READ} when { [(]) };`, ['a.cedar:3:84: "]" closes nothing']],
  ])('are refused %s', (_, text, problems) => {
    expect(problemsOf(text)).toEqual(problems);
  });

  it.each<[string, string, RegExp]>([
    ['brackets', `${'('.repeat(65)}true${')'.repeat(65)}`, /nested more than 64/],
    ['a chain of operators', Array.from({ length: 200 }, () => 'true').join(' && '), /more than 128 operators/],
    ['a chain of choices', `${'if true then true else '.repeat(200)}true`, /more than 128 operators/],
    ['a chain of negations', `${'!'.repeat(200)}true`, /more than 128 operators/],
    ['a chain of members', `context${'.a'.repeat(40)}`, /more than 32 dots/],
    ['bulk', `context.input.path == "${'a'.repeat(17_000)}"`, /larger than 16384/],
  ])('are measured before the engine sees them: %s', (_, condition, message) => {
    expect(problemsOf(`${HEAD}${READ} when { ${condition} };`, UNTOUCHED).join()).toMatch(message);
  });

  it('survive everything that the measure lets through', () => {
    const chain = Array.from({ length: 60 }, () => 'context.input.path == "a"').join(' && ');
    const inner = `${'('.repeat(60)}${chain}${')'.repeat(60)}`;
    const text = `${HEAD}${READ} when { ${'if true then true else '.repeat(60)}${inner} };`;
    expect(problemsOf(text)).toEqual([]);
    expect(problemsOf(`${HEAD}${READ};`)).toEqual([]);
  });

  it('may hold semicolons, braces and comments wherever the language allows them', () => {
    const text = `// a; "b" {\n${HEAD}${READ} // }\nwhen { context.input.path == "a;\\"}{" };\n// end`;
    const result = lintRules([{ file: 'a.cedar', text }], SCHEMA, cedarLanguage);
    expect(result.ok && [...result.rules.keys()]).toEqual(['x']);
  });

  it('are named with file, line, reason and obligations', () => {
    const result = lintRules([{ file: 'a.cedar', text: RULES }], SCHEMA, cedarLanguage);
    expect(result.ok && result.rules.get('fs-write')).toMatchObject({
      file: 'a.cedar',
      line: 6,
      reason: 'developers write small files inside the workspace',
      obligations: { timeoutMs: 5000 },
    });
  });

  proves('G4', 'one bad rule refuses all of them', () => {
    expect(lintRules([{ file: 'a.cedar', text: `${RULES}\n${READ};` }], SCHEMA, cedarLanguage).ok).toBe(false);
  });
});
