// The schemas of tools by the id of their action: what there is to check against, without what checks it.

import type { PolicySource } from '../../control-plane/policy/source.ts';
import { actionId, TOOL_METHOD } from '../../domain/action.ts';
import type { JsonObject } from '../../domain/json.ts';

export interface ToolSchemas {
  readonly inputSchema: JsonObject;
  readonly outputSchema?: JsonObject;
}

/** The schemas of everything that a policy is for, by the id of the action. */
export function toolSchemas(source: PolicySource): Map<string, ToolSchemas> {
  return new Map(
    source.tools.flatMap(({ server, tools }) =>
      tools.map((tool) => [actionId(TOOL_METHOD, server, tool.name), tool] as const),
    ),
  );
}
