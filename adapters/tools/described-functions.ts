// Functions whose definitions came separately from them, as vendors' interfaces have it: each definition needs what carries it out.

import type { CallContext, JsonSchema, ToolFunction } from './tool-function.ts';

export type Execute = (args: never, context: CallContext) => unknown;

export interface Described {
  readonly name: string;
  readonly description: string | null | undefined;
  readonly inputSchema: JsonSchema;
  /** What carries it out where nothing else is named: the vendor's library keeps both together. */
  readonly execute?: Execute | undefined;
}

/** Throws a TypeError for a definition that nothing carries out, a function that no definition names, and a name that is there twice. */
export function describedFunctions(
  definitions: readonly Described[],
  execute: Readonly<Record<string, Execute>>,
): Record<string, ToolFunction<JsonSchema, never, unknown>> {
  const functions = new Map<string, ToolFunction<JsonSchema, never, unknown>>();
  for (const { name, description, inputSchema, execute: own } of definitions) {
    const carriesOut = Object.hasOwn(execute, name) ? execute[name] : own;
    if (carriesOut === undefined) throw new TypeError(`nothing carries out the tool ${JSON.stringify(name)}`);
    if (functions.has(name)) throw new TypeError(`the tool ${JSON.stringify(name)} is defined twice`);
    functions.set(name, { description: description ?? name, inputSchema, execute: carriesOut });
  }
  const unknown = Object.keys(execute).find((name) => !functions.has(name));
  if (unknown !== undefined) throw new TypeError(`no definition says what the tool ${JSON.stringify(unknown)} takes`);
  return Object.fromEntries(functions);
}
