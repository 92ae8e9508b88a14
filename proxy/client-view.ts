// What a client is told about the end of a call. The tool's own output is never touched; our facts go into `_meta`. A denial says what the
// model may know: the reason's public sentence and the id of the call, never a rule, a path or somebody else's name.

import { canonicalJson } from '../domain/canonical-json.ts';
import { DENIALS, type DenialCode, rpcCode } from '../domain/denial.ts';
import type { CallId } from '../domain/ids.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { errorMessage, type RequestId, RPC } from './jsonrpc.ts';
import { META_PREFIX, notOurs, partsNotInOurName } from './own-name.ts';
import type { ResultType, ToolError } from './tool-server.ts';

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
      readonly type: ResultType;
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

/** What a denial can say to whoever configured the gate, without secrets: which file to edit, which command explains. */
export interface OperatorHints {
  readonly missingPolicy: string;
}

type Ended<Kind extends CallEnd['kind']> = Extract<CallEnd, { kind: Kind }>;

/** A released result as JSON text: its own bytes with our receipt in `_meta`, and the members that an era adds. */
export function releasedJson({ result, resultJson, receipt }: Ended<'result'>, more: JsonObject = {}): string {
  const added = { ...partsNotInOurName(result), ...more };
  const ours = receiptData(receipt);
  const addedMeta = isJsonObject(added._meta) ? added._meta : {};
  // Only a result that has a `_meta` of its own, or of which a member changes, is serialised again.
  if (Object.hasOwn(result, '_meta') || Object.keys(added).some((member) => Object.hasOwn(result, member))) {
    return canonicalJson({ ...result, ...added, _meta: { ...notOurs(result._meta), ...addedMeta, ...ours } });
  }
  const rest = resultJson === '{}' ? '}' : `,${resultJson.slice(1)}`;
  return `${canonicalJson({ ...added, _meta: { ...addedMeta, ...ours } }).slice(0, -1)}${rest}`;
}

/** The data of a released error: the server's, with our receipt. Data that is no object has no place for one, and stays as it is. */
export function releasedErrorData({ error, receipt }: Ended<'error'>): Json {
  const { data = {} } = error;
  return isJsonObject(data) ? { ...notOurs(data), ...receiptData(receipt) } : data;
}

export function receiptData(receipt: ReleaseReceipt): JsonObject {
  return { [`${META_PREFIX}receipt`]: { ...receipt } };
}

/** A denied tools/call as the tool's result: clients show that to the model, where an error of the protocol becomes a stack trace in some. */
export function deniedResult(end: Ended<'denied'>, hints: OperatorHints): JsonObject {
  return {
    content: [{ type: 'text', text: deniedText(end, hints) }],
    isError: true,
    _meta: denialData(end.code, end.call),
  };
}

export function denialData(code: DenialCode, call: CallId): JsonObject {
  return { [`${META_PREFIX}denial`]: { code, category: DENIALS[code].category, call } };
}

function deniedText(end: Ended<'denied'>, hints: OperatorHints): string {
  const { told, retry } = DENIALS[end.code];
  const executed = {
    no: 'Not executed.',
    perhaps: 'It may have been executed.',
    yes: 'It was executed; its result is withheld.',
  };
  const advice = retry ? 'It can be tried again later.' : 'Do not retry; ask the user.';
  const hint = hintOf(end, hints);
  return `Denied by Portcullis (${end.code}): ${told}. ${executed[end.executed]} ${advice}\n${hint}`;
}

function hintOf({ code, call }: Ended<'denied'>, hints: OperatorHints): string {
  switch (code) {
    case 'GOV_POLICY_MISSING':
      return hints.missingPolicy;
    case 'RETRY_OF_UNKNOWN':
      return 'For the operator: portcullis calls unknown lists what may have run before, portcullis calls settle lets it be called again';
    case 'SERVER_UNAPPROVED':
      return 'For the operator: portcullis tools approve shows what the server is and asks whether it may be used';
    case 'SERVER_QUARANTINED':
    case 'AGENT_QUARANTINED':
      return 'For the operator: portcullis quarantine list and portcullis tools diff say why';
    default:
      return `For the operator: portcullis policy explain ${call}`;
  }
}

/** A denial of anything but tools/call. Methods that we do not serve answer as JSON-RPC says: not found. */
export function denialError(id: RequestId | null | undefined, code: DenialCode, call: CallId): string {
  return errorMessage(
    id,
    errorCode(code),
    `Denied by Portcullis (${code}): ${DENIALS[code].told}`,
    denialData(code, call),
  );
}

/** The code of JSON-RPC where it has one for this denial, else ours. */
export function errorCode(code: DenialCode): number {
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
