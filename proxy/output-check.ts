// Whether an answer may be released: its shape, then the output schema of the pinned definition. An unfinished or unknown kind of result is
// refused here, because a client would take it for a success.

import { type Denial, deny } from '../domain/denial.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { CapturedCall } from './captured-call.ts';
import type { Catalogue } from './catalogue.ts';

/** Why a result must be withheld, or undefined when it may be released. */
export type OutputCheck = (call: CapturedCall, result: JsonObject, resultJson: string) => Promise<Denial | undefined>;

/** Validates structured content against a tool's output schema; undefined when it fits. Never rejects. */
export type SchemaCheck = (server: string, tool: string, structuredJson: string) => Promise<Denial | undefined>;

export function outputCheck(catalogue: Catalogue, matchesSchema: SchemaCheck): OutputCheck {
  return async (call, result) => {
    // Revisions up to 2025-11-25 have complete results only; whoever names a kind names one we cannot finish.
    const { resultType, content, structuredContent, isError, _meta } = result;
    if (resultType !== undefined && resultType !== 'complete') {
      return deny('OUTPUT_UNSUPPORTED', `resultType ${JSON.stringify(resultType)}`);
    }
    if (isError !== undefined && typeof isError !== 'boolean')
      return deny('OUTPUT_INVALID', 'isError is not a boolean');
    if (_meta !== undefined && !isJsonObject(_meta)) return deny('OUTPUT_INVALID', '_meta is not an object');
    if ('task' in result) return deny('OUTPUT_UNSUPPORTED', 'the tool answered with a task');
    if (!isContent(content)) return deny('OUTPUT_INVALID', 'content is not a list of blocks with a type');
    const pinned = catalogue.tool(call.server, call.tool);
    if (pinned?.definition.outputSchema === undefined || isError === true) return undefined;
    if (structuredContent === undefined)
      return deny('OUTPUT_INVALID', 'the tool has an output schema and sent no structured content');
    return matchesSchema(call.server, call.tool, JSON.stringify(structuredContent));
  };
}

function isContent(content: unknown): boolean {
  return (
    Array.isArray(content) &&
    content.every(
      (block) => typeof block === 'object' && block !== null && typeof (block as JsonObject).type === 'string',
    )
  );
}
