// How the end of a governed message is told to a client of this era: with the kind of its result, with who we are, and without the codes that
// this revision has given up.

import { TOOL_METHOD } from '../../../domain/action.ts';
import { canonicalJson } from '../../../domain/canonical-json.ts';
import { DENIALS } from '../../../domain/denial.ts';
import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import {
  type CallEnd,
  denialData,
  deniedResult,
  errorCode,
  type OperatorHints,
  releasedErrorData,
  releasedJson,
} from '../../../proxy/client-view.ts';
import { type RequestId, RPC, resultText } from '../../../proxy/jsonrpc.ts';
import type { Question } from '../../../proxy/tool-server.ts';
import { CODE, errorText, KEY, statusOf } from './protocol.ts';

export interface Answer {
  readonly text: string;
  readonly status?: number | undefined;
}

export interface Asked {
  readonly id: RequestId;
  readonly method: string;
  readonly params: JsonObject;
}

export interface Surroundings {
  readonly hints: OperatorHints;
  /** `_meta` of every result: who we are. */
  readonly identity: JsonObject;
}

/** What a shared cache may keep of a result: nothing, because it was answered to one principal. */
export const UNCACHED: JsonObject = { ttlMs: 0, cacheScope: 'private' };

/** Codes of older revisions or of the hop behind us. They say nothing that is true between the client and us. */
const TRANSLATED: Readonly<Record<number, number>> = {
  [-32002]: RPC.invalidParams,
  [-32042]: CODE.internalError,
  [CODE.headerMismatch]: CODE.internalError,
  [CODE.unsupportedVersion]: CODE.internalError,
};

/** `added`: members that this answer has instead of the server's own. */
export function callReply(
  asked: Asked,
  end: CallEnd,
  { hints, identity }: Surroundings,
  added: JsonObject = {},
): Answer {
  const { id, method } = asked;
  switch (end.kind) {
    case 'result': {
      const cache = method === 'resources/read' && end.type === 'complete' ? cacheOf(end.result) : {};
      const meta = isJsonObject(added._meta) ? { ...added._meta, ...identity } : identity;
      return { text: resultText(id, releasedJson(end, { ...added, ...cache, resultType: end.type, _meta: meta })) };
    }
    case 'error': {
      const code = TRANSLATED[end.error.code] ?? end.error.code;
      return { text: errorText(id, code, end.error.message, releasedErrorData(end)), status: statusOf(code) };
    }
    case 'denied':
      if (end.code === 'TOOL_UNKNOWN') return { text: missing(asked) };
      if (method === TOOL_METHOD) return { text: resultText(id, denied(deniedResult(end, hints), identity)) };
      return deniedError(id, end);
  }
}

/** A result that asks the client before the call goes on. It is ours: the call has no result yet. */
export function questionsReply(
  id: RequestId,
  questions: Readonly<Record<string, Question>>,
  requestState: string,
  identity: JsonObject,
): Answer {
  const inputRequests = Object.fromEntries(
    Object.entries(questions).map(([key, { method, params }]) => [key, { method, params }]),
  );
  const result = { inputRequests, requestState, resultType: 'input_required', _meta: identity };
  return { text: resultText(id, canonicalJson(result)) };
}

export function deniedError(
  id: RequestId,
  { code, call }: Pick<Extract<CallEnd, { kind: 'denied' }>, 'code' | 'call'>,
): Answer {
  const rpc = errorCode(code);
  const text = errorText(id, rpc, `Denied by Portcullis (${code}): ${DENIALS[code].told}`, denialData(code, call));
  return { text, status: statusOf(rpc) };
}

/** What may be done for a while with what was read is the server's to say; who may is ours. */
function cacheOf({ ttlMs }: JsonObject): JsonObject {
  return typeof ttlMs === 'number' && Number.isInteger(ttlMs) && ttlMs >= 0 ? { ...UNCACHED, ttlMs } : UNCACHED;
}

function denied(result: JsonObject, identity: JsonObject): string {
  const meta = isJsonObject(result._meta) ? result._meta : {};
  return canonicalJson({ ...result, resultType: 'complete', _meta: { ...meta, ...identity } });
}

/** What is forbidden answers like what is missing, in every byte but the name that the client itself sent. */
export function missing({ id, method, params }: Asked): string {
  const invalid = (message: string, data?: JsonObject) => errorText(id, RPC.invalidParams, message, data);
  switch (method) {
    case TOOL_METHOD:
      return invalid(`Unknown tool: ${String(params.name)}`);
    case 'prompts/get':
      return invalid(`Unknown prompt: ${String(params.name)}`);
    case 'resources/read':
      return invalid('Resource not found', { uri: String(params.uri) });
    case 'tasks/get':
    case 'tasks/update':
    case 'tasks/cancel':
      return invalid('Unknown task');
    default:
      return invalid(`Unknown target of ${method}`);
  }
}

/** Who we are, in the `_meta` of a result. */
export function identityOf(version: string): JsonObject {
  return { [KEY.serverInfo]: { name: 'portcullis', version } };
}
