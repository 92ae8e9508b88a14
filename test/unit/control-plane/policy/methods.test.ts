import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SchemaChecks } from '../../../../adapters/json-schema/schema-checks.ts';
import { CedarEngine, cedarLanguage } from '../../../../adapters/policy-engine/cedar.ts';
import { assembleBundle } from '../../../../control-plane/policy/assemble-bundle.ts';
import { type Bundle, digestWith } from '../../../../control-plane/policy/bundle.ts';
import { decide } from '../../../../control-plane/policy/decide.ts';
import { explain, explanationText } from '../../../../control-plane/policy/explain.ts';
import { METHOD_INPUTS } from '../../../../control-plane/policy/methods.ts';
import type { PathResolver } from '../../../../control-plane/policy/ports.ts';
import { redecide } from '../../../../control-plane/policy/redecide.ts';
import { problemText, type ServerTools } from '../../../../control-plane/policy/source.ts';
import { visibleActions } from '../../../../control-plane/policy/visible.ts';
import { PLAIN_METHODS } from '../../../../domain/action.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../../domain/json.ts';
import { MANIFEST, policySource, request, tool } from '../../../support/policy.ts';
import { vectors } from '../../../support/vectors.ts';

const AS_IS: PathResolver = { real: (path) => ({ ok: true, path }) };
const digestOf = digestWith((data) => createHash('sha256').update(data).digest());

/** A server with a tool that is called like a method, and one that is called like the key of its facts. */
const TOOLS: ServerTools[] = [
  {
    server: 'fs',
    tools: [
      tool('resources/read', { uri: { type: 'string' } }, ['uri']),
      tool(':resources/read', { uri: { type: 'string' } }, ['uri']),
    ],
  },
];
const BASE = MANIFEST.slice(0, MANIFEST.indexOf('facts:'));
const FACTS = `facts:
  fs:
    ":resources/read": { where: { kind: url, from: [/uri], allow: { docs: ["https://docs.example/"] } } }
    ":sampling/createMessage": { turns: { kind: count, from: [/messages] } }
groups:
  reading: ["fs:resources/read", "fs:resources/subscribe"]
`;
const RULES = `@id("docs") @reason("r") permit (principal, action == Acme::Action::"fs:resources/read", resource)
when { context.facts.where.within.contains("docs") };
@id("follow") @reason("r") permit (principal, action in Acme::Action::"reading", resource)
when { context.input.uri like "note:*" };
@id("ask") @reason("r") @obligation("timeoutMs=9000")
permit (principal in Acme::Role::"dev", action == Acme::Action::"fs:sampling/createMessage", resource)
when { context.input.maxTokens <= 100 && context.facts.turns.count <= 2 };
@id("complete") @reason("r") permit (principal, action == Acme::Action::"fs:completion/complete", resource)
when { context.input.ref.type == "ref/prompt" && context.input.argument.name == "city" };
@id("no-tool") @reason("r") forbid (principal, action in Acme::Action::"fs:tools/call", resource);
`;

function problemsOf(manifest: string, rules = RULES): string[] {
  const assembled = assembleBundle(policySource({ manifest, rules, tools: TOOLS }), cedarLanguage, digestOf);
  return assembled.ok ? [] : assembled.problems.map(problemText);
}

function load(): Bundle {
  const source = policySource({ manifest: BASE + FACTS, rules: RULES, tools: TOOLS });
  const assembled = assembleBundle(source, cedarLanguage, digestOf);
  if (!assembled.ok) throw new Error(assembled.problems.map(problemText).join('\n'));
  return assembled.bundle;
}

const bundle = load();
const engine = new CedarEngine(bundle);

function outcome(method: string, params: Json, toolName = method): string {
  const decision = decide(bundle, request(toolName, params, { method }), engine, AS_IS);
  return decision.decision === 'allow' ? `allow ${decision.by.join()}` : decision.code;
}

const DOCS = { uri: 'https://docs.example/a' };
const ASK = { maxTokens: 10, messages: [{ role: 'user', content: { type: 'text', text: 'hi' } }] };

describe('a rule about a method', () => {
  it.each<[string, string, Json, string]>([
    ['of another resource', 'resources/read', { uri: 'https://evil.example/a' }, 'POLICY_NO_PERMIT'],
    ['without a member that it must have', 'resources/subscribe', {}, 'ARG_INVALID'],
    ['with a member of another type', 'resources/subscribe', { uri: 7 }, 'ARG_INVALID'],
    ['whose fact cannot be established', 'resources/read', { uri: 'file:///etc/passwd' }, 'FACT_UNAVAILABLE'],
    ['with an integer that is not exact', 'sampling/createMessage', { ...ASK, maxTokens: 2 ** 60 }, 'ARG_INVALID'],
    ['with more than a rule allows', 'sampling/createMessage', { ...ASK, maxTokens: 101 }, 'POLICY_NO_PERMIT'],
    [
      'with more turns than a rule allows',
      'sampling/createMessage',
      { ...ASK, messages: [{}, {}, {}] },
      'POLICY_NO_PERMIT',
    ],
    ['that no rule permits', 'elicitation/create', { message: 'password?' }, 'POLICY_NO_PERMIT'],
    ['that is not governed', 'resources/list', {}, 'TOOL_UNKNOWN'],
  ])('refuses one %s', (_, method, params, expected) => {
    expect(outcome(method, params)).toBe(expected);
  });

  it('refuses a method that is asked of a tool', () => {
    expect(outcome('resources/read', DOCS, 'write_file')).toBe('TOOL_UNKNOWN');
  });

  it('is no rule about a tool of the same name, and a rule about all tools is none about methods', () => {
    expect(outcome('resources/read', DOCS)).toBe('allow docs');
    expect(outcome('tools/call', DOCS, 'resources/read')).toBe('POLICY_FORBID');
    expect(outcome('tools/call', DOCS, ':resources/read')).toBe('POLICY_FORBID');
  });

  it('permits what its condition says, of typed members, members within members, and facts', () => {
    expect(outcome('sampling/createMessage', ASK)).toBe('allow ask');
    const ref = { type: 'ref/prompt', name: 'weather' };
    expect(outcome('completion/complete', { ref, argument: { name: 'city', value: 'P' } })).toBe('allow complete');
    expect(outcome('completion/complete', { ref, argument: { name: 'key', value: 'P' } })).toBe('POLICY_NO_PERMIT');
  });

  it('is not disturbed by members of newer revisions, whatever they hold', () => {
    let deep: Json = 0;
    for (let depth = 0; depth < 60; depth++) deep = [deep];
    const newer = { deep, much: Array.from({ length: 20_000 }, () => 0), constructor: { __entity: 1 }, big: 2 ** 60 };
    expect(outcome('sampling/createMessage', { ...ASK, ...newer, tools: [newer], temperature: 0.5 })).toBe('allow ask');
    const ref = { type: 'ref/prompt', name: 'weather', ...newer };
    expect(outcome('completion/complete', { ref, argument: { name: 'city', value: 'P' } })).toBe('allow complete');
  });

  it('is refused where it reads what rules do not see', () => {
    const rule = `@id("x") @reason("r") permit (principal, action == Acme::Action::"fs:sampling/createMessage", resource)
when { context.input.messages == "hi" };`;
    expect(problemsOf(BASE + FACTS, rule)).toHaveLength(1);
  });

  it('is refused about a method that is not governed', () => {
    const rule = '@id("x") @reason("r") permit (principal, action == Acme::Action::"fs:resources/reed", resource);';
    expect(problemsOf(BASE + FACTS, rule).join()).toContain('fs:resources/read');
  });

  it('is refused with one problem, however many methods lack what a rule about everything reads', () => {
    const rule = '@id("x") @reason("r") permit (principal, action, resource) when { context.input.uri == "a" };';
    const problems = problemsOf(BASE + FACTS, rule);
    expect(problems).toEqual([
      expect.stringMatching(/attribute `input.uri` in context for .* not found.*; and the same for \d+ other actions/),
    ]);
  });

  it('does not matter where its server is not served', () => {
    const manifest = `${BASE.replace('servers:', 'servers:\n  other: { stdio: { command: node } }')}${FACTS}`;
    const rule = `${RULES}@id("x") @reason("r") permit (principal, action == Acme::Action::"other:roots/list", resource);`;
    expect(problemsOf(manifest, rule)).toEqual([]);
  });
});

describe('facts of a method', () => {
  it('are refused where no member lies at their pointer', () => {
    const wrong = FACTS.replace('from: [/uri]', 'from: [/url]');
    expect(problemsOf(BASE + wrong)).toEqual(['portcullis.yaml:10:52: no argument of ":resources/read" lies at /url']);
  });

  it('are neither those of a tool of that name nor those of every tool', () => {
    const every = `${FACTS.replace('    ":samp', '    "*": { size: { kind: bytes, from: [/uri] } }\n    ":samp')}`;
    expect(problemsOf(BASE + every)).toEqual([]);
    const source = policySource({ manifest: BASE + every, rules: RULES, tools: TOOLS });
    const assembled = assembleBundle(source, cedarLanguage, digestOf);
    const named = (id: string): string[] | undefined =>
      assembled.ok ? assembled.bundle.model.actions.get(id)?.facts.map(({ name }) => name) : undefined;
    expect(named('fs:resources/read')).toEqual(['where']);
    expect(named('fs/resources/read')).toEqual(['size']);
    expect(named('fs/:resources/read')).toEqual(['size']);
  });
});

describe('what is known of a method', () => {
  it('includes whether an agent could ever use it', () => {
    const { principal } = request('x', {});
    expect(visibleActions(bundle, principal)).toEqual([
      'fs:completion/complete',
      'fs:resources/read',
      'fs:resources/subscribe',
      'fs:sampling/createMessage',
    ]);
  });

  it('is explained as that of a tool is', () => {
    const told = explain(bundle, request('roots/list', {}, { method: 'roots/list' }), cedarLanguage, AS_IS);
    expect(explanationText(told)).toContain('action == Acme::Action::"fs:roots/list"');
  });

  it('suffices to decide again what was recorded', () => {
    const asked = request('resources/read', DOCS, { method: 'resources/read' });
    const first = decide(bundle, asked, engine, AS_IS);
    if (first.decision !== 'allow') throw new Error(first.code);
    expect(redecide(bundle, asked, first.inputJson, engine)).toEqual(first);
    expect(redecide(bundle, { ...asked, method: 'resources/list' }, first.inputJson, engine)).toHaveProperty(
      'unusable',
    );
  });
});

const REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'];
const METHOD_SCHEMAS = new SchemaChecks(
  new Map([...METHOD_INPUTS].map(([method, { schema }]) => [method, { inputSchema: schema }])),
);

type Schema = { readonly [key: string]: Json };

/** The members of the params of a method, as a revision publishes them; undefined where it has no such method. */
function published(revision: string, method: string): Schema | undefined {
  const path = vectors(`mcp-schema/${revision}/schema.json`);
  if (path === undefined) return undefined;
  const { $defs, definitions } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, Record<string, Schema>>;
  const all = $defs ?? definitions ?? {};
  const resolve = (schema: Json | undefined): Schema => {
    if (!isJsonObject(schema)) return {};
    return typeof schema.$ref === 'string' ? resolve(all[schema.$ref.split('/').at(-1) ?? '']) : schema;
  };
  const members = (schema: Schema): Schema => {
    const parts = [schema.allOf, schema.anyOf].flatMap((list) =>
      Array.isArray(list) ? (list as readonly Json[]) : [],
    );
    return Object.assign({}, ...parts.map((part) => members(resolve(part))), schema.properties);
  };
  const of = Object.values(all).find((schema) => {
    const named = isJsonObject(schema.properties) ? schema.properties.method : undefined;
    return isJsonObject(named) && named.const === method;
  });
  return of === undefined || !isJsonObject(of.properties) ? undefined : members(resolve(of.properties.params));
}

describe('the params of the methods', () => {
  it.each(PLAIN_METHODS)('of %s are those that some revision publishes, and none that it does not', (method) => {
    if (vectors('mcp-schema') === undefined) return;
    const known = REVISIONS.map((revision) => published(revision, method)).filter((params) => params !== undefined);
    // Of the tasks extension, which publishes its schema elsewhere.
    if (method === 'tasks/update') return;
    expect(known).not.toEqual([]);
    const names = new Set(known.flatMap((params) => Object.keys(params)));
    const { properties } = METHOD_INPUTS.get(method)?.schema ?? {};
    expect(Object.keys((properties ?? {}) as JsonObject).filter((name) => !names.has(name))).toEqual([]);
  });

  it.each<[string, Json, string | undefined]>([
    ['resources/read', { uri: 'a:b', _future: 1 }, undefined],
    ['resources/read', { uri: null }, 'ARG_INVALID'],
    ['resources/read', {}, 'ARG_INVALID'],
    ['resources/read', [], 'ARG_INVALID'],
    ['prompts/get', { name: 'p', arguments: { a: 1 } }, 'ARG_INVALID'],
    ['prompts/get', { name: 'p', arguments: { a: '1' } }, undefined],
    ['completion/complete', { ref: { type: 'ref/tool' }, argument: { name: 'a', value: 'b' } }, 'ARG_INVALID'],
    [
      'completion/complete',
      { ref: { type: 'ref/prompt', name: 'p', title: 'P' }, argument: { name: 'a', value: 'b' } },
      undefined,
    ],
    ['sampling/createMessage', { messages: [], maxTokens: '9' }, 'ARG_INVALID'],
    ['sampling/createMessage', { messages: [], maxTokens: 1.5 }, 'ARG_INVALID'],
    ['sampling/createMessage', { messages: [], maxTokens: 9, temperature: 0.5, task: { ttl: 1 } }, undefined],
    ['elicitation/create', { mode: 'telepathy', message: 'm' }, 'ARG_INVALID'],
    ['elicitation/create', { mode: 'url', message: 'm', url: 'https://a.example', elicitationId: '1' }, undefined],
    ['roots/list', {}, undefined],
    ['tasks/get', { taskId: 1 }, 'ARG_INVALID'],
    ['tasks/update', { taskId: 't', inputResponses: {} }, undefined],
  ])('of %s: %j', (method, params, code) => {
    expect(METHOD_SCHEMAS.input(method, params)?.code).toBe(code);
  });

  it('are the same objects for every server', () => {
    const inputs = [...bundle.model.actions.values()].filter(({ method }) => method !== 'tools/call');
    for (const { method, input } of inputs) expect(input).toBe(METHOD_INPUTS.get(method)?.shape);
  });
});
