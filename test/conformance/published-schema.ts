// The published schema of a revision, as a judge of messages and results.

import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { JsonObject } from '../../domain/json.ts';

export class PublishedSchema {
  readonly #ajv: Ajv | Ajv2020;
  readonly #definitions: JsonObject;
  readonly #prefix: string;

  constructor(file: string) {
    const schema = JSON.parse(readFileSync(file, 'utf8')) as {
      $schema: string;
      $defs?: JsonObject;
      definitions?: JsonObject;
    };
    const options = { strict: false, validateFormats: false, allErrors: true };
    this.#ajv = schema.$schema.includes('2020-12') ? new Ajv2020(options) : new Ajv(options);
    this.#ajv.addSchema(schema, 'mcp');
    this.#definitions = schema.$defs ?? schema.definitions ?? {};
    this.#prefix = schema.$defs ? 'mcp#/$defs/' : 'mcp#/definitions/';
  }

  has(definition: string): boolean {
    return definition in this.#definitions;
  }

  /** What is wrong with a value as the first of these definitions that the revision has; nothing when it is valid. */
  faults(value: unknown, ...definitions: readonly string[]): readonly string[] {
    const name = definitions.find((definition) => this.has(definition));
    if (name === undefined) return [`the revision has none of ${definitions.join(', ')}`];
    const validate = this.#ajv.getSchema(`${this.#prefix}${name}`);
    if (!validate) return [`${name} does not compile`];
    if (validate(value)) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => `${name}${instancePath} ${message ?? ''}`);
  }
}
