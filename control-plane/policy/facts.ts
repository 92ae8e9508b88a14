// Facts: what rules cannot compute themselves, computed once from the canonical arguments by a closed set of typed extractors. One plan
// per tool or method drives both the schema that rules are checked against and the values they see. A fact that cannot be established denies.

import { type Denial, deny } from '../../domain/denial.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import type { FactSpec, Manifest } from './manifest.ts';
import { METHOD_INPUTS, METHOD_KEY } from './methods.ts';
import { nearest } from './nearest.ts';
import { pathFact } from './path-fact.ts';
import { presence, select } from './pointer.ts';
import type { PathResolver } from './ports.ts';
import type { Problem, ServerTools } from './source.ts';
import { urlFact } from './url-fact.ts';
import type { YamlDocument } from './yaml-document.ts';

export interface FactPlan {
  readonly name: string;
  readonly spec: FactSpec;
  /** True when every valid call has the fact, so that rules need not ask for it with `has`. */
  readonly always: boolean;
}

const STRINGS: JsonObject = { type: 'Set', element: { type: 'String' } };
const LONGS: JsonObject = { type: 'Set', element: { type: 'Long' } };
const LONG: JsonObject = { type: 'Long' };

function record(attributes: JsonObject): JsonObject {
  return { type: 'Record', attributes };
}

/** The attributes that a fact of this kind has in rules. */
export function factType(kind: FactSpec['kind']): JsonObject {
  switch (kind) {
    case 'path':
      return record({ within: STRINGS, touches: STRINGS });
    case 'url':
      return record({
        schemes: STRINGS,
        hosts: STRINGS,
        ports: LONGS,
        paths: STRINGS,
        networks: STRINGS,
        within: STRINGS,
      });
    case 'bytes':
      return record({ bytes: LONG });
    case 'count':
      return record({ count: LONG });
  }
}

export interface ServerFacts {
  /** By name of the tool. */
  readonly plans: ReadonlyMap<string, readonly FactPlan[]>;
  /** By method. */
  readonly methods: ReadonlyMap<string, readonly FactPlan[]>;
  readonly problems: readonly Problem[];
}

/**
 * The facts of each tool and method of a server. `*` speaks about every tool that has at least one of its pointers, and about no method. A key
 * that begins with ":" names a method, whatever the server calls its tools.
 */
export function planFacts(manifest: Manifest, document: YamlDocument, { server, tools }: ServerTools): ServerFacts {
  const plans = new Map<string, FactPlan[]>(tools.map(({ name }) => [name, []]));
  const methods = new Map<string, FactPlan[]>();
  const problems: Problem[] = [];
  const entries = Object.entries(manifest.facts[server] ?? {});
  for (const [tool, facts] of entries) {
    const path = ['facts', server, tool];
    const isMethod = tool.startsWith(METHOD_KEY);
    const into = isMethod ? methods : plans;
    const concerned = isMethod ? methodsAt(tool) : tool === '*' ? tools : tools.filter(({ name }) => name === tool);
    if (concerned.length === 0) {
      const names = tools.map(({ name }) => name);
      const message = `the server "${server}" has no tool "${tool}"`;
      problems.push(document.problem(path, message, { atKey: true, suggestion: nearest(tool, names) }));
      continue;
    }
    for (const [name, spec] of Object.entries(facts)) {
      let used = false;
      for (const { name: concernedTool, inputSchema } of concerned) {
        const found = spec.from.map((pointer) => presence(inputSchema, pointer));
        if (found.every((one) => one === 'never')) continue;
        used = true;
        const own = into.get(concernedTool) ?? [];
        const always = found.includes('always');
        const index = own.findIndex((plan) => plan.name === name);
        // A fact named for the tool itself replaces one of the same name under `*`.
        if (index < 0) own.push({ name, spec, always });
        else if (tool !== '*') own[index] = { name, spec, always };
        into.set(concernedTool, own);
      }
      if (!used) {
        const message = `no argument of ${tool === '*' ? 'any tool' : `"${tool}"`} lies at ${spec.from.join(', ')}`;
        problems.push(document.problem([...path, name, 'from'], message));
      }
    }
  }
  return { plans, methods, problems };
}

/** The method that a key names, as far as it is governed and is not a tool's. */
function methodsAt(key: string): { readonly name: string; readonly inputSchema: JsonObject }[] {
  const name = key.slice(METHOD_KEY.length);
  const input = METHOD_INPUTS.get(name);
  return input === undefined ? [] : [{ name, inputSchema: input.schema }];
}

/** The facts of one call. An optional argument that is missing leaves its fact out; anything else that is wrong denies. */
export function extractFacts(
  plans: readonly FactPlan[],
  args: Json,
  resolver: PathResolver,
): { readonly ok: true; readonly facts: JsonObject } | { readonly ok: false; readonly denial: Denial } {
  const facts: Record<string, JsonObject> = {};
  for (const plan of plans) {
    const value = extract(plan.spec, args, resolver);
    if (typeof value === 'string') {
      return { ok: false, denial: deny('FACT_UNAVAILABLE', `fact ${plan.name}: ${value}`) };
    }
    if (value !== undefined) facts[plan.name] = value;
    else if (plan.always) {
      return { ok: false, denial: deny('FACT_UNAVAILABLE', `fact ${plan.name}: its argument is missing`) };
    }
  }
  return { ok: true, facts };
}

/** The value of one fact, undefined where its arguments are absent, or why it cannot be established. */
function extract(spec: FactSpec, args: Json, resolver: PathResolver): JsonObject | undefined | string {
  const values: Json[] = [];
  for (const pointer of spec.from) {
    const selection = select(args, pointer);
    if (!selection.ok) return selection.reason;
    values.push(...selection.values);
  }
  if (values.length === 0) return undefined;
  switch (spec.kind) {
    case 'path': {
      if (!values.every(isString)) return 'a path is not a string';
      const fact = pathFact(spec, values, resolver);
      return fact.ok ? { within: fact.within, touches: fact.touches } : fact.reason;
    }
    case 'url': {
      if (!values.every(isString)) return 'an address is not a string';
      const fact = urlFact(spec, values);
      return fact.ok ? { ...fact.parts } : fact.reason;
    }
    case 'bytes': {
      if (!values.every(isString)) return 'a value is not a string';
      return { bytes: values.reduce((sum, text) => sum + utf8Length(text), 0) };
    }
    case 'count': {
      let count = 0;
      for (const value of values) {
        if (!Array.isArray(value)) return 'a value is not an array';
        count += value.length;
      }
      return { count };
    }
  }
}

function isString(value: Json): value is string {
  return typeof value === 'string';
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}
