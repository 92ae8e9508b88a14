import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CedarEngine, cedarLanguage } from '../../../adapters/policy-engine/cedar.ts';
import { assembleBundle } from '../../../control-plane/policy/assemble-bundle.ts';
import { type Bundle, digestWith } from '../../../control-plane/policy/bundle.ts';
import { decide } from '../../../control-plane/policy/decide.ts';
import { wholeEngine } from '../../../control-plane/policy/explain.ts';
import type { PathResolver } from '../../../control-plane/policy/ports.ts';
import { problemText } from '../../../control-plane/policy/source.ts';
import { visibleActions } from '../../../control-plane/policy/visible.ts';
import { actionId } from '../../../domain/action.ts';
import type { JsonObject } from '../../../domain/json.ts';
import { policySource, request, tool } from '../../support/policy.ts';

const TOOLS = ['a', 'b', 'c', 'd', 'e'];
const MANIFEST = `apiVersion: portcullis/v1
namespace: Acme
agents:
  one: { roles: [dev], auth: local }
  two: { roles: [dev, ops], auth: { apiKey: "sha256:${'A'.repeat(43)}" } }
  three: { auth: { apiKey: "sha256:${'B'.repeat(43)}" } }
servers: { x: { stdio: { command: x } }, y: { stdio: { command: y } } }
groups:
  g1: [x/a, x/b, y/a]
  g2: [x/b, x/c, y/e]
  g3: []
  g4: ["x:resources/read", "y:resources/read", "x:sampling/createMessage", y/e]
`;
const ROLES: Record<string, string[]> = { one: ['dev'], two: ['dev', 'ops'], three: [] };

const principal = fc.constantFrom(
  'principal',
  'principal == Acme::Agent::"one"',
  'principal in Acme::Role::"dev"',
  'principal in Acme::Role::"ops"',
  'principal is Acme::Agent',
);
const toolName = fc
  .tuple(fc.constantFrom('x', 'y'), fc.constantFrom(...TOOLS))
  .map(([server, name]) => `${server}/${name}`);
const action = fc.oneof(
  fc.constant('action'),
  toolName.map((name) => `action == Acme::Action::"${name}"`),
  fc.constantFrom('g1', 'g2').map((group) => `action in Acme::Action::"${group}"`),
  fc
    .tuple(toolName, fc.constantFrom('g1', 'g2'))
    .map(([name, group]) => `action in [Acme::Action::"${name}", Acme::Action::"${group}"]`),
);
const resource = fc.constantFrom('resource', 'resource == Acme::Server::"x"', 'resource == Acme::Server::"y"');
const condition = fc.constantFrom(
  '',
  'when { context.input.n > 2 }',
  'when { context.input.n <= 2 }',
  'unless { context.input has s && context.input.s like "a*" }',
  'when { context.input has s && context.input.s == "ab" }',
  'when { context.lineage.depth == 0 } unless { context.input.n == 1 }',
  'when { context.input has s && (if context.input.n > 1 then context.input.s == "ab" else context.governance.state == "normal") }',
  'when { {a: context.input.n, b: "x"}.a == 3 || context.approvals.contains("x") }',
  'when { context.lineage.rootAgent in Acme::Role::"ops" || context.lineage.path.contains(principal) }',
  'when { [context.input.n, 1].contains(1) }',
  'when { context.input == context.input && context.governance.epoch < 5 }',
  'unless { principal == context.lineage.rootAgent && context.input has s }',
);
const EVERY_TOOL = 'action in [Acme::Action::"x:tools/call", Acme::Action::"y:tools/call"]';
const toolRule = fc
  .tuple(fc.constantFrom('permit', 'permit', 'permit', 'forbid'), principal, action, resource, condition)
  .map(([effect, who, what, where, when]) => {
    // Only tools have these arguments.
    const named = what === 'action' && /input\.n/.test(when) ? EVERY_TOOL : what;
    return `${effect} (${who}, ${named}, ${where}) ${when};`;
  });
const READ = 'when { context.input has uri && context.input.uri like "a*" }';
const SAMPLE =
  'when { context.input has maxTokens && context.input.maxTokens <= 2 } unless { context.lineage.depth == 1 }';
const about = (what: string, ...conditions: string[]): [string, string][] =>
  ['', ...conditions].map((when) => [what, when]);
const methodRule = fc
  .tuple(
    fc.constantFrom('permit', 'permit', 'forbid'),
    principal,
    fc.constantFrom(
      ...about('action', READ, SAMPLE),
      ...about('action in Acme::Action::"g4"', READ, SAMPLE),
      ...about('action == Acme::Action::"x:resources/read"', READ),
      ...about('action == Acme::Action::"x:sampling/createMessage"', SAMPLE),
      ...about('action == Acme::Action::"x:roots/list"'),
    ),
    fc.constantFrom('resource', 'resource == Acme::Server::"x"'),
  )
  .map(([effect, who, [what, when], where]) => `${effect} (${who}, ${what}, ${where}) ${when};`);
const rule = fc.oneof({ weight: 2, arbitrary: toolRule }, { weight: 1, arbitrary: methodRule });

const call = fc.record({
  agent: fc.constantFrom('one', 'two', 'three'),
  server: fc.constantFrom('x', 'y'),
  name: fc.constantFrom(...TOOLS),
  n: fc.integer({ min: 0, max: 4 }),
  s: fc.option(fc.constantFrom('ab', 'b'), { nil: undefined }),
});

const METHOD_PARAMS: [string, fc.Arbitrary<JsonObject>][] = [
  ['resources/read', fc.record({ uri: fc.constantFrom('ab', 'b') })],
  ['sampling/createMessage', fc.record({ maxTokens: fc.integer({ min: 0, max: 4 }), messages: fc.constant([]) })],
  ['roots/list', fc.constant({})],
];
const ask = fc.record({
  agent: fc.constantFrom('one', 'two', 'three'),
  server: fc.constantFrom('x', 'y'),
  asked: fc.oneof(...METHOD_PARAMS.map(([method, params]) => params.map((args) => ({ method, args })))),
});

const AS_IS: PathResolver = { real: (path) => ({ ok: true, path }) };
const digestOf = digestWith((data) => createHash('sha256').update(data).digest());
const definitions = TOOLS.map((name) => tool(name, { n: { type: 'integer' }, s: { type: 'string' } }, ['n']));
const TOOLS_OF = [
  { server: 'x', tools: definitions },
  { server: 'y', tools: definitions },
];

function bundleOf(rules: readonly string[]): Bundle {
  const text = rules.map((body, index) => `@id("r${index}")\n@reason("r")\n${body}`).join('\n');
  const assembled = assembleBundle(
    policySource({ manifest: MANIFEST, rules: text, tools: TOOLS_OF }),
    cedarLanguage,
    digestOf,
  );
  if (!assembled.ok) throw new Error(assembled.problems.map(problemText).join('\n'));
  return assembled.bundle;
}

describe('slices of a policy', () => {
  it('decide exactly as the whole policy does, and hide nothing that it allows', () => {
    fc.assert(
      fc.property(
        fc.array(rule, { minLength: 1, maxLength: 12 }),
        fc.array(call, { minLength: 20, maxLength: 20 }),
        fc.array(ask, { minLength: 10, maxLength: 10 }),
        (rules, calls, asks) => {
          const bundle = bundleOf(rules);
          const sliced = new CedarEngine(bundle);
          const whole = wholeEngine(bundle, cedarLanguage);
          const requests = [
            ...calls.map(({ agent, server, name, n, s }) =>
              request(name, s === undefined ? { n } : { n, s }, { agent, roles: ROLES[agent] ?? [], server }),
            ),
            ...asks.map(({ agent, server, asked: { method, args } }) =>
              request(method, args, { agent, roles: ROLES[agent] ?? [], server, method }),
            ),
          ];
          for (const asked of requests) {
            const decision = decide(bundle, asked, sliced, AS_IS);
            expect(decision).toEqual(decide(bundle, asked, whole, AS_IS));
            if (decision.decision === 'allow')
              expect(visibleActions(bundle, asked.principal)).toContain(
                actionId(asked.method, asked.server, asked.tool),
              );
          }
        },
      ),
      { numRuns: 25 },
    );
  }, 120_000);
});
