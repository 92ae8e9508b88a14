// Schemas that a library made, by the interface that they have in common (standardschema.dev): what they say as JSON Schema, and how they judge a
// value. No library is imported for that.

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] };

export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
    readonly jsonSchema?: {
      readonly input: (options: { readonly target: 'draft-2020-12' }) => Record<string, unknown>;
    };
  };
}

export type InputOf<Schema> = Schema extends StandardSchema<infer Input, unknown> ? Input : never;
export type OutputOf<Schema> = Schema extends StandardSchema<unknown, infer Output> ? Output : never;

export function isStandardSchema(schema: object): schema is StandardSchema {
  return '~standard' in schema;
}

/** What arguments have to be, as JSON Schema. Throws where the library cannot say. */
export function jsonSchemaOf(schema: StandardSchema): unknown {
  const { jsonSchema, vendor } = schema['~standard'];
  if (jsonSchema === undefined)
    throw new TypeError(`a schema of ${vendor} that does not say itself as JSON Schema (zod does from 4.2 on)`);
  return jsonSchema.input({ target: 'draft-2020-12' });
}

/** Why a value does not fit, on one line. */
export function issuesText(result: Exclude<StandardResult<unknown>, { readonly issues?: undefined }>): string {
  const texts = result.issues.slice(0, 5).map(({ message, path = [] }) => {
    const keys = path.map((part) =>
      typeof part === 'object' && part !== null && 'key' in part ? String(part.key) : String(part),
    );
    return keys.length === 0 ? message : `${keys.join('.')}: ${message}`;
  });
  return texts.join('; ').slice(0, 1_000);
}
