// What an execution may say in an entry of the ledger, however much its peers say: texts are cut, and a decision that does not fit is none.

import type { CallRequested, ExecutionEvent } from '../state-machines/execution-events.ts';
import type { CapturedCall } from './captured-call.ts';
import {
  NAME_CHARACTERS_MAX,
  RECORDED_DECISION_BYTES_MAX,
  RECORDED_DETAIL_CHARACTERS_MAX,
  RECORDED_METHOD_CHARACTERS_MAX,
} from './limits.ts';
import { recordedText } from './recorded-text.ts';

/** The fact that opens the execution of a captured call. */
export function requestedBy(captured: CapturedCall): CallRequested {
  const { claimed } = captured.manner;
  return {
    type: 'call.requested',
    at: captured.at,
    call: captured.call,
    method: captured.method,
    server: captured.server,
    tool: captured.tool,
    principal: captured.principal,
    args: { commitment: captured.args, bytes: captured.argumentsBytes },
    lineage: captured.lineage,
    // A question is put to that client, and made by a server.
    ...(claimed === undefined || captured.askedThrough !== undefined ? {} : { claimed }),
    ...(captured.relation === undefined ? {} : { relation: captured.relation }),
  };
}

/** What is recorded of a request, however long the names are that its sender chose. */
export function boundedRequest(requested: CallRequested): CallRequested {
  const { method, server, tool } = requested;
  return {
    ...requested,
    method: recordedText(method, RECORDED_METHOD_CHARACTERS_MAX),
    server: server === null ? null : recordedText(server, NAME_CHARACTERS_MAX),
    tool: tool === null ? null : recordedText(tool, NAME_CHARACTERS_MAX),
  };
}

/** The same fact with a reason that fits into an entry. */
export function boundedEvent(event: ExecutionEvent): ExecutionEvent {
  if (!('detail' in event) || event.detail === undefined) return event;
  return { ...event, detail: recordedText(event.detail, RECORDED_DETAIL_CHARACTERS_MAX) };
}

/** Whether a decision fits into an entry. A character takes three bytes at most; permits are ASCII. */
export function isRecordable(names: readonly string[], permit = ''): boolean {
  return permit.length + 3 * JSON.stringify(names).length <= RECORDED_DECISION_BYTES_MAX;
}
