// How a client of this era is told that a call failed because of what it did not say it could do. It is the end of a call that was recorded as
// it came; only the word for it is of this era.

import type { JsonObject } from '../../../domain/json.ts';
import { isJsonObject } from '../../../domain/json.ts';
import { type CallEnd, receiptData, releasedErrorData } from '../../../proxy/client-view.ts';
import type { RequestId } from '../../../proxy/jsonrpc.ts';
import type { ClientCapabilities, Question } from '../../../proxy/tool-server.ts';
import type { Answer } from './call-reply.ts';
import { CODE, errorText, statusOf } from './protocol.ts';
import { lackingFor } from './required-capabilities.ts';

const SENTENCE = 'The client lacks a capability';

/**
 * The answer to a call that a server of the older revisions let fail after it could not ask what it asked: those revisions have no word for
 * what the client would have to be able to do. The server's own words go with it. Undefined where that is not why a call ended as it did.
 */
export function failedForLack(
  id: RequestId,
  end: CallEnd,
  asked: readonly Question[],
  capabilities: ClientCapabilities,
): Answer | undefined {
  // Roots are asked for by servers that can go on without.
  const needed = asked.filter(({ method }) => method !== 'roots/list');
  const lacking = lackingFor(needed, capabilities);
  if (lacking === undefined) return undefined;
  if (end.kind === 'error') {
    const data = releasedErrorData(end);
    return lackingReply(
      id,
      lacking,
      isJsonObject(data) ? data : { ...receiptData(end.receipt), data },
      end.error.message,
    );
  }
  if (end.kind !== 'result' || end.type !== 'complete' || end.result.isError !== true) return undefined;
  return lackingReply(id, lacking, receiptData(end.receipt), textOf(end.result));
}

/** That a call was not made, or its result withheld, because the client lacks something. `data` says which call. */
export function lackingReply(
  id: RequestId,
  requiredCapabilities: JsonObject,
  data: JsonObject,
  message: string = SENTENCE,
): Answer {
  const code = CODE.missingCapability;
  return { text: errorText(id, code, message, { ...data, requiredCapabilities }), status: statusOf(code) };
}

function textOf({ content }: JsonObject): string {
  const texts = Array.isArray(content)
    ? content.flatMap((block) => (isJsonObject(block) && typeof block.text === 'string' ? [block.text] : []))
    : [];
  return texts.length === 0 ? SENTENCE : texts.join('\n');
}
