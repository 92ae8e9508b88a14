// How the end of a governed message is told to a client of the older revisions.

import { TOOL_METHOD } from '../../../domain/action.ts';
import type { Json, JsonObject } from '../../../domain/json.ts';
import {
  type CallEnd,
  denialError,
  deniedResult,
  type OperatorHints,
  releasedErrorData,
  releasedJson,
} from '../../../proxy/client-view.ts';
import type { Operation } from '../../../proxy/conversation.ts';
import { errorMessage, type RequestId, RPC, resultMessage, resultText } from '../../../proxy/jsonrpc.ts';
import { type OwnerOfTasks, renamedTasks } from '../../../proxy/task-names.ts';
import { olderResult } from './from-modern.ts';

/** "Resource not found" of the revisions up to 2025-11-25. */
const RESOURCE_NOT_FOUND = -32002;

export interface Surroundings {
  readonly hints: OperatorHints;
  readonly owner: OwnerOfTasks;
  /** Set where the server speaks 2026-07-28: the output schema of the tool, as far as it has one. */
  readonly modern?: { readonly outputSchema: Json | undefined } | undefined;
}

export function callReply(
  request: { readonly id: RequestId; readonly params: JsonObject | undefined },
  operation: Operation,
  end: CallEnd,
  { hints, owner, modern }: Surroundings,
): string {
  const { id, params = {} } = request;
  const { method } = operation;
  switch (end.kind) {
    case 'result': {
      const told = modern === undefined ? end : olderResult(end, modern.outputSchema);
      return resultText(id, releasedJson(told, renamedTasks(operation, end, owner)));
    }
    case 'error':
      return errorMessage(id, end.error.code, end.error.message, releasedErrorData(end));
    case 'denied':
      // What is forbidden answers like what is missing, in every byte but the name that the client itself sent.
      if (end.code === 'TOOL_UNKNOWN') return missing(id, method, params);
      return method === TOOL_METHOD ? resultMessage(id, deniedResult(end, hints)) : denialError(id, end.code, end.call);
  }
}

function missing(id: RequestId, method: string, params: JsonObject): string {
  switch (method) {
    case TOOL_METHOD:
      return errorMessage(id, RPC.invalidParams, `Unknown tool: ${String(params.name)}`);
    case 'prompts/get':
      return errorMessage(id, RPC.invalidParams, `Unknown prompt: ${String(params.name)}`);
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return errorMessage(id, RESOURCE_NOT_FOUND, 'Resource not found', { uri: String(params.uri) });
    default:
      return errorMessage(id, RPC.invalidParams, `Unknown target of ${method}`);
  }
}
