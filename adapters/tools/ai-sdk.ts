// Tools for the Vercel AI SDK, and the SDK's own tools as functions to govern. Nothing of the library is imported: what it has to make itself, it is given
// its own function for.

import type { Json } from '../../domain/json.ts';
import type { GovernedAgent } from './governed-agent.ts';
import { NAME_PATTERN } from './limits.ts';
import { carryOut, membersOf, schemaCopy } from './model-calls.ts';
import { isStandardSchema, type StandardSchema } from './standard-schema.ts';
import type { CallContext, JsonSchema, ToolFunction } from './tool-function.ts';

export interface AiSdkTool<Schema> {
  description: string;
  inputSchema: Schema;
  execute(input: unknown, options: { readonly abortSignal?: AbortSignal | undefined }): Promise<Json>;
}

export interface AiSdkTools<Schema> {
  /** For `generateText({ tools })` and its like: what rules could let the agent call at this moment. A denial is an error to the model. */
  readonly tools: Record<string, AiSdkTool<Schema>>;
  /** For `experimental_repairToolCall`: repairs nothing, and records calls that the SDK itself refuses, which no tool hears of. */
  readonly recordRefused: (refused: { readonly error: Error }) => Promise<null>;
}

/** `jsonSchema` is the SDK's function of that name. */
export async function aiSdkTools<Schema>(
  agent: GovernedAgent,
  jsonSchema: (schema: Record<string, unknown>) => Schema,
): Promise<AiSdkTools<Schema>> {
  const offered = (await agent.definitions()).filter(({ name }) => NAME_PATTERN.test(name));
  const tools = offered.map(({ name, description, inputSchema }): [string, AiSdkTool<Schema>] => [
    name,
    {
      description,
      inputSchema: jsonSchema(schemaCopy(inputSchema)),
      execute: async (input, options) => {
        const { abortSignal: signal } = membersOf(options);
        const bounds = signal instanceof AbortSignal ? { signal } : {};
        const answer = await carryOut(agent, { name, arguments: { value: input } }, bounds);
        if (answer instanceof Error) throw answer;
        return answer.value ?? null;
      },
    },
  ]);
  return {
    // The SDK looks tools up by whatever name the model says: nothing is inherited that could be one.
    tools: Object.assign(Object.create(null) as Record<string, AiSdkTool<Schema>>, Object.fromEntries(tools)),
    recordRefused: async ({ error }) => {
      const isUnknown = error.name === 'AI_NoSuchToolError';
      await agent.refuse(isUnknown ? 'TOOL_UNKNOWN' : 'ARG_INVALID', error.name);
      return null;
    },
  };
}

/** A tool as the SDK's `tool` makes it. */
export interface AiSdkDefinition {
  readonly description?: string | undefined;
  readonly inputSchema: unknown;
  // A method, so that tools whose own options say more fit too.
  execute?(input: never, options: never): unknown;
}

/** What the SDK tells a tool about its call. */
export interface AiSdkOptions extends CallContext {
  readonly toolCallId: string;
  readonly messages: readonly never[];
  readonly abortSignal: AbortSignal;
}

/**
 * Functions for `govern`. They get the options that the SDK gives, as far as they are known, and the context of a governed function besides. Throws a
 * TypeError for a tool that nothing here carries out, or whose schema is not there yet.
 */
export function fromAiSdk(
  tools: Readonly<Record<string, AiSdkDefinition>>,
): Record<string, ToolFunction<JsonSchema, never, unknown>> {
  return Object.fromEntries(
    Object.entries(tools).map(([name, definition]) => {
      const { execute, description, inputSchema } = definition;
      if (execute === undefined) throw new TypeError(`nothing carries out the tool ${JSON.stringify(name)}`);
      const carriesOut = execute.bind(definition) as (input: never, options: AiSdkOptions) => unknown;
      return [
        name,
        {
          description: description ?? name,
          inputSchema: schemaOf(name, inputSchema),
          execute: (input, context) =>
            carriesOut(input, { ...context, toolCallId: context.call, messages: [], abortSignal: context.signal }),
        },
      ];
    }),
  );
}

/** A schema of the library itself has the JSON Schema as a member; others are schemas of their own. */
function schemaOf(name: string, schema: unknown): JsonSchema {
  if (typeof schema !== 'object' || schema === null)
    throw new TypeError(`the tool ${JSON.stringify(name)} has no schema that can be read now`);
  if (isStandardSchema(schema)) return schema as unknown as JsonSchema;
  const stated = 'jsonSchema' in schema ? schema.jsonSchema : schema;
  if (typeof stated !== 'object' || stated === null || 'then' in stated)
    throw new TypeError(`the tool ${JSON.stringify(name)} has no schema that can be read now`);
  const { validate } = schema as { readonly validate?: unknown };
  return typeof validate === 'function'
    ? asStandard(stated as JsonSchema, validate as Validate)
    : (stated as JsonSchema);
}

type Judged = { readonly success: boolean; readonly value?: unknown; readonly error?: unknown };
type Validate = (value: unknown) => Judged | Promise<Judged>;

/** A schema of the library that judges values by itself, and may make others of them. */
function asStandard(stated: JsonSchema, validate: Validate): JsonSchema & StandardSchema {
  return {
    '~standard': {
      version: 1,
      vendor: 'ai',
      validate: async (value) => {
        const judged = await validate(value);
        if (judged.success) return { value: judged.value };
        return { issues: [{ message: judged.error instanceof Error ? judged.error.message : 'not valid' }] };
      },
      jsonSchema: { input: () => ({ ...stated }) },
    },
  };
}
