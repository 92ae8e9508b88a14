// What a client is told about the end of a call. The tool's own output is never touched; our facts go into `_meta`. A denial says what the
// model may know: the reason's public sentence and the id of the call, never a rule, a path or somebody else's name.

import { canonicalJson } from '../domain/canonical-json.ts';
import { DENIALS, type DenialCode, rpcCode } from '../domain/denial.ts';
import type { CallId } from '../domain/ids.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { errorMessage, type RequestId, RPC, resultMessage, resultText } from './jsonrpc.ts';
import type { ToolError } from './tool-server.ts';

/** Keys that we set in `_meta`. Clients may not use this prefix. */
export const META_PREFIX = 'dev.portcullis/';

/** Where a released result can be found again. */
export interface ReleaseReceipt {
  readonly call: CallId;
  /** Sequence number of the ending in the ledger. */
  readonly entry: number;
  readonly permit: string;
}

export type CallEnd =
  | {
      readonly kind: 'result';
      readonly result: JsonObject;
      /** Canonical JSON of `result`: the bytes that the ledger commits to. */
      readonly resultJson: string;
      readonly receipt: ReleaseReceipt;
    }
  | { readonly kind: 'error'; readonly error: ToolError; readonly receipt: ReleaseReceipt }
  | {
      readonly kind: 'denied';
      readonly call: CallId;
      readonly code: DenialCode;
      /** Whether it is certain that the tool did not run. */
      readonly executed: 'no' | 'perhaps' | 'yes';
      /** The ending could be recorded. */
      readonly recorded: boolean;
    };

/** Help for whoever configured the gate, without secrets: which file to edit, which command explains. */
export interface OperatorHints {
  readonly missingPolicy: string;
}

export function toolCallReply(id: RequestId, toolName: string, end: CallEnd, hints: OperatorHints): string {
  switch (end.kind) {
    case 'result':
      return resultText(id, withReceipt(end.result, end.resultJson, end.receipt));
    case 'error':
      return errorMessage(id, end.error.code, end.error.message, {
        ...notOurs(end.error.data),
        [`${META_PREFIX}receipt`]: { ...end.receipt },
      });
    case 'denied':
      // A forbidden tool answers like a missing one, in every byte but the name that the client itself sent.
      if (end.code === 'TOOL_UNKNOWN') return errorMessage(id, RPC.invalidParams, `Unknown tool: ${toolName}`);
      return resultMessage(id, {
        content: [{ type: 'text', text: deniedText(end, hints) }],
        isError: true,
        _meta: { [`${META_PREFIX}denial`]: { code: end.code, category: DENIALS[end.code].category, call: end.call } },
      });
  }
}

/** The result's own bytes with our receipt in `_meta`. Only a result that has a `_meta` of its own is serialised again. */
function withReceipt(result: JsonObject, resultJson: string, receipt: ReleaseReceipt): string {
  const ours: JsonObject = { [`${META_PREFIX}receipt`]: { ...receipt } };
  if (isJsonObject(result._meta)) return canonicalJson({ ...result, _meta: { ...notOurs(result._meta), ...ours } });
  const rest = resultJson === '{}' ? '}' : `,${resultJson.slice(1)}`;
  return `{"_meta":${canonicalJson(ours)}${rest}`;
}

/** What a server says beside its answer, without what only we may say: it could not have been us who denied or received it. */
function notOurs(said: Json | undefined): JsonObject {
  if (said === undefined || !isJsonObject(said)) return {};
  return Object.fromEntries(Object.entries(said).filter(([key]) => !key.startsWith(META_PREFIX)));
}

function deniedText(end: Extract<CallEnd, { kind: 'denied' }>, hints: OperatorHints): string {
  const { told, retry } = DENIALS[end.code];
  const executed = {
    no: 'Not executed.',
    perhaps: 'It may have been executed.',
    yes: 'It was executed; its result is withheld.',
  };
  const advice = retry ? 'It can be tried again later.' : 'Do not retry; ask the user.';
  const hint =
    end.code === 'GOV_POLICY_MISSING' ? hints.missingPolicy : `For the operator: portcullis policy explain ${end.call}`;
  return `Denied by Portcullis (${end.code}): ${told}. ${executed[end.executed]} ${advice}\n${hint}`;
}

/** A denial of anything but tools/call. Methods that we do not serve answer as JSON-RPC says: not found. */
export function denialError(id: RequestId | null, code: DenialCode, call: CallId): string {
  const data = { [`${META_PREFIX}denial`]: { code, category: DENIALS[code].category, call } };
  return errorMessage(id, errorCode(code), `Denied by Portcullis (${code}): ${DENIALS[code].told}`, data);
}

function errorCode(code: DenialCode): number {
  switch (code) {
    case 'METHOD_UNKNOWN':
    case 'METHOD_NOT_SERVED':
      return RPC.methodNotFound;
    case 'MESSAGE_MALFORMED':
    case 'MESSAGE_BATCH':
    case 'MESSAGE_DIRECTION':
    case 'MESSAGE_TOO_LARGE':
    case 'NOT_INITIALIZED':
      return RPC.invalidRequest;
    default:
      return rpcCode(code);
  }
}
