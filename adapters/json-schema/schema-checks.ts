// JSON Schemas of tools, checked with ajv. A schema is hostile text that becomes code: it is compiled and run in a thread that has a deadline and is
// ended in the middle of a pattern that never ends (check-thread.ts), and where decisions are made only if it is tame. Nothing is fetched: a reference to elsewhere is an error, and an error
// is a denial.

import { Ajv, type Options, type ValidateFunction } from 'ajv';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { type Denial, type DenialCode, deny } from '../../domain/denial.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import type { ToolSchemas } from './tool-schemas.ts';

/** Values in one schema. The largest published tool schemas have a few thousand. */
const SCHEMA_NODES_MAX = 50_000;
const SCHEMA_DEPTH_MAX = 64;

const OPTIONS: Options = {
  // Servers publish schemas with keywords of their own; what they mean is theirs. What the standard keywords say is enforced.
  strict: false,
  logger: false,
  // Formats are annotations in 2020-12.
  validateFormats: false,
  useDefaults: false,
  coerceTypes: false,
  removeAdditional: false,
  allErrors: false,
  addUsedSchema: false,
  // A schema is judged by compiling it: unknown drafts and remote references fail there.
  validateSchema: false,
};

type Compiled = ValidateFunction | { readonly broken: string };

export class SchemaChecks {
  readonly #tools: ReadonlyMap<string, ToolSchemas>;
  readonly #compiled = new Map<string, Compiled>();

  /** Tools by the id of their action, or methods by their name. */
  constructor(tools: ReadonlyMap<string, ToolSchemas>) {
    this.#tools = tools;
  }

  /**
   * Clients write `null` for an optional argument that they leave out, and rules see nothing there either. So such an argument may be null where
   * the schema would have another type; whether the server takes it is for the server.
   */
  input(action: string, args: Json): Denial | undefined {
    const schema = this.#tools.get(action)?.inputSchema;
    const check = (value: Json) => this.#check('ARG_INVALID', `${action} input`, schema, value);
    const denial = check(args);
    if (denial === undefined || schema === undefined || !isJsonObject(args)) return denial;
    const given = withoutLeftOut(args, schema);
    return given === args || check(given) !== undefined ? denial : undefined;
  }

  output(action: string, structured: Json): Denial | undefined {
    const schema = this.#tools.get(action)?.outputSchema;
    return this.#check('OUTPUT_INVALID', `${action} output`, schema, structured);
  }

  /** Makes a schema ready, so that the next check with it takes no longer than its value deserves. */
  compile(kind: 'input' | 'output', action: string): void {
    const schemas = this.#tools.get(action);
    const schema = kind === 'input' ? schemas?.inputSchema : schemas?.outputSchema;
    if (schema !== undefined) this.#ready(`${action} ${kind}`, schema);
  }

  #ready(key: string, schema: JsonObject): Compiled {
    const known = this.#compiled.get(key);
    if (known !== undefined) return known;
    const compiled = compile(schema);
    this.#compiled.set(key, compiled);
    return compiled;
  }

  #check(code: DenialCode, key: string, schema: JsonObject | undefined, value: Json): Denial | undefined {
    if (schema === undefined) return deny(code, 'there is no schema');
    const compiled = this.#ready(key, schema);
    if ('broken' in compiled) return deny(code, `the schema cannot be used: ${compiled.broken}`);
    if (compiled(value) === true) return undefined;
    const [first] = compiled.errors ?? [];
    return deny(
      code,
      `${first?.instancePath === '' ? '/' : (first?.instancePath ?? '/')} ${first?.message ?? 'does not fit'}`.slice(
        0,
        300,
      ),
    );
  }
}

/** Without the arguments that are null, declared and not required. The very same where there are none. */
function withoutLeftOut(args: JsonObject, { properties, required }: JsonObject): JsonObject {
  if (properties === undefined || !isJsonObject(properties)) return args;
  const isRequired = (name: string): boolean => Array.isArray(required) && (required as readonly Json[]).includes(name);
  const isLeftOut = ([name, value]: [string, Json]): boolean =>
    value === null && Object.hasOwn(properties, name) && !isRequired(name);
  const entries = Object.entries(args) as [string, Json][];
  return entries.some(isLeftOut) ? Object.fromEntries(entries.filter((entry) => !isLeftOut(entry))) : args;
}

function compile(schema: JsonObject): Compiled {
  const size = measure(schema);
  if (size !== undefined) return { broken: size };
  try {
    const { $schema: dialect, ...rest } = schema;
    const validator = validatorFor(dialect);
    if (validator === undefined) return { broken: `unknown dialect ${String(dialect).slice(0, 80)}` };
    return validator.compile(rest);
  } catch (error) {
    return { broken: error instanceof Error ? error.message.slice(0, 200) : 'it does not compile' };
  }
}

/** MCP: 2020-12 unless the schema says otherwise. */
function validatorFor(dialect: Json | undefined): Ajv | undefined {
  if (dialect === undefined) return new Ajv2020(OPTIONS);
  if (typeof dialect !== 'string') return undefined;
  switch (dialect.replace(/#$/, '').replace(/^https:/, 'http:')) {
    case 'http://json-schema.org/draft/2020-12/schema':
      return new Ajv2020(OPTIONS);
    case 'http://json-schema.org/draft/2019-09/schema':
      return new Ajv2019(OPTIONS);
    case 'http://json-schema.org/draft-07/schema':
    case 'http://json-schema.org/draft-06/schema':
      return new Ajv(OPTIONS);
    default:
      return undefined;
  }
}

/** Why a schema is too large to compile, if it is. */
function measure(schema: JsonObject): string | undefined {
  let nodes = 0;
  const waiting: { value: Json; depth: number }[] = [{ value: schema, depth: 1 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    nodes += 1;
    if (nodes > SCHEMA_NODES_MAX) return 'it is too large';
    if (next.depth > SCHEMA_DEPTH_MAX) return 'it is nested too deeply';
    if (typeof next.value !== 'object' || next.value === null) continue;
    for (const value of Object.values(next.value)) waiting.push({ value, depth: next.depth + 1 });
  }
  return undefined;
}
