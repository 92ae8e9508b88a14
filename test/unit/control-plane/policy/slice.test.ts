import { describe, expect, it } from 'vitest';
import { cedarLanguage } from '../../../../adapters/policy-engine/cedar.ts';
import type { Rule } from '../../../../control-plane/policy/lint.ts';
import { parseManifest } from '../../../../control-plane/policy/parse-manifest.ts';
import { buildSchema } from '../../../../control-plane/policy/schema.ts';
import { sliceFor } from '../../../../control-plane/policy/slice.ts';
import type { JsonObject } from '../../../../domain/json.ts';
import { FILE_TOOLS, MANIFEST } from '../../../support/policy.ts';

const parsed = parseManifest(MANIFEST, 'p.yaml');
if (!parsed.ok) throw new Error('the manifest of the tests is not valid');
const built = buildSchema(parsed.manifest, parsed.document, [FILE_TOOLS]);
if (!built.ok) throw new Error('the schema of the tests is not valid');
const { model } = built;

const AGENT = { __entity: { type: 'Acme::Agent', id: 'coder' } };
const CONTEXT: JsonObject = {
  input: { path: '/a', head: 1 },
  facts: { paths: { within: [], touches: [] } },
  lineage: { depth: 0, rootAgent: AGENT, path: [AGENT] },
  approvals: [],
  governance: { state: 'normal', epoch: 1 },
};

function read(condition: string): JsonObject {
  const answer = cedarLanguage.parse(`permit (principal, action, resource) when { ${condition} };`);
  if (!answer.ok) throw new Error(answer.problem.message);
  const rule: Rule = { id: 'r', reason: 'r', file: 'f', line: 1, text: '', json: answer.json, obligations: {} };
  const tool = model.actions.get('fs/read_text_file');
  if (tool === undefined) throw new Error('no such tool');
  return sliceFor(model, [rule], tool).project(CONTEXT);
}

describe('what a slice hands the engine', () => {
  it.each<[string, JsonObject]>([
    ['true', {}],
    ['principal == resource', {}],
    ['context.input.path == "context"', { input: { path: '/a' } }],
    ['context["input"]["path"] == "a"', { input: { path: '/a' } }],
    ['context.facts has paths', { facts: { paths: {} } }],
    ['context.facts has paths && context.facts.paths.within.contains("w")', { facts: { paths: { within: [] } } }],
    ['context has facts.paths.touches', { facts: { paths: { touches: [] } } }],
    ['context.lineage.rootAgent in Acme::Role::"dev"', { lineage: { rootAgent: AGENT } }],
    ['context.lineage has rootAgent', { lineage: { rootAgent: AGENT } }],
    ['{a: context.input.head, b: 1}.a == 1', { input: { head: 1 } }],
    ['[context.input.head].contains(1)', { input: { head: 1 } }],
    ['if context.input has head then context.approvals.isEmpty() else false', { input: { head: 1 }, approvals: [] }],
    ['(if true then context.input else context.input).path == "a"', { input: { path: '/a', head: 1 } }],
    ['context.governance == context.governance', { governance: { state: 'normal', epoch: 1 } }],
    ['{a: context}.a.input.path like "*"', CONTEXT],
    ['context == context', CONTEXT],
  ])('for %s', (condition, expected) => {
    expect(read(condition)).toEqual(expected);
  });
});
