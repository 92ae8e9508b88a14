// A function that is a tool: what a model is told of it, what it takes, and what it does.

import type { GovernedAgent } from './governed-agent.ts';
import type { InputOf, OutputOf, StandardSchema } from './standard-schema.ts';

/** What a function may know of the call that it carries out. */
export interface CallContext {
  /** Aborts when the call was cancelled or revoked or has no time left; the message of its reason is the code. What comes after that is withheld. */
  readonly signal: AbortSignal;
  /** The id of the call. */
  readonly call: string;
  /** The lineage token of the call. It shows that what is done belongs to it, as long as it runs. */
  readonly lineage: string;
  /** Calls other tools on behalf of this call, and only of this one. Once it has ended, every call by it is denied. */
  readonly agent: GovernedAgent;
}

/** A JSON Schema, as an object. */
export type JsonSchema = Readonly<Record<string, unknown>>;

export interface ToolFunction<Schema extends StandardSchema | JsonSchema, Args, Value> {
  readonly title?: string;
  readonly description: string;
  /** Of the arguments, which are an object. Members that it does not name are refused. */
  readonly inputSchema: Schema;
  /** Of the value, where that is to be checked before it is released. */
  readonly outputSchema?: JsonSchema;
  /** Arguments are those that were permitted, as `inputSchema` reads them. The value is plain data, or nothing. */
  readonly execute: (args: Args, context: CallContext) => Value | Promise<Value>;
}

/** Any function that can be governed. */
export type AnyToolFunction = ToolFunction<StandardSchema | JsonSchema, never, unknown>;
export type ToolFunctions = Readonly<Record<string, AnyToolFunction>>;

/** Says what is there, and lets `execute` know what its schema yields. */
export function tool<Schema extends StandardSchema, Value>(
  definition: ToolFunction<Schema, OutputOf<Schema>, Value>,
): ToolFunction<Schema, OutputOf<Schema>, Value>;
export function tool<Args, Value>(
  definition: ToolFunction<JsonSchema, Args, Value>,
): ToolFunction<JsonSchema, Args, Value>;
export function tool<Definition>(definition: Definition): Definition {
  return definition;
}

/** What a caller gives to a governed function. */
export type ArgumentsOf<Function> = Function extends { readonly inputSchema: infer Schema extends StandardSchema }
  ? InputOf<Schema>
  : Function extends { readonly execute: (args: infer Args, ...rest: never[]) => unknown }
    ? // A function that looks at none says nothing of them.
      [Args] extends [never]
      ? JsonSchema
      : Args
    : never;

/** What a caller gets from it: a copy as plain data. */
export type ValueOf<Function> = Function extends { readonly execute: (...args: never[]) => infer Value }
  ? Awaited<Value>
  : never;
