// What an answer to `server/discover` shows: that the server speaks 2026-07-28, that it speaks an older revision, or neither. Only an answer of
// the protocol shows anything; whatever else goes wrong is a failure and no evidence of an era.

import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import { MODERN_REVISION, SERVED_REVISIONS } from '../../../proxy/method-table.ts';
import { NOT_HANDED_OVER, type ToolAnswer } from '../../../proxy/tool-server.ts';
import { OtherEra } from '../other-era.ts';

export const HEADER_MISMATCH = -32020;
export const REVISION_UNSUPPORTED = -32022;
const CAPABILITY_MISSING = -32021;
/** What a server of the older revisions says, in words of its own, to a message that names no session of it. */
const UNHEARD: ReadonlySet<number | undefined> = new Set([400, 404, 405]);

export interface Discovery {
  readonly answer: ToolAnswer;
  /** What HTTP said where there is no answer. */
  readonly status?: number;
}

/** It does not speak what it was asked in, says the server, and names just that. It may be asked once more: nothing was done. */
export function isAtALoss({ answer }: Discovery): boolean {
  if (answer.kind !== 'error' || answer.error.code !== REVISION_UNSUPPORTED) return false;
  return supportedBy(answer.error.data).includes(MODERN_REVISION);
}

/** The DiscoverResult. Throws what is shown otherwise: see OtherEra. */
export function discovered({ answer, status }: Discovery): JsonObject {
  if (answer.kind === 'result') {
    const { supportedVersions, resultType } = answer.result;
    if (!Array.isArray(supportedVersions)) throw new OtherEra('its answer to server/discover names no revision');
    const supported = supportedVersions as readonly Json[];
    if (!supported.includes(MODERN_REVISION)) throw unsupported(supported);
    if (resultType !== 'complete') throw new Error('its answer to server/discover is not complete');
    return answer.result;
  }
  if (answer.kind === 'error') {
    const { code, message } = answer.error;
    const detail = `it answered server/discover with the error ${code}`;
    if (code === HEADER_MISMATCH || code === CAPABILITY_MISSING) throw new Error(detail);
    if (code !== REVISION_UNSUPPORTED) throw new OtherEra(`${detail}: ${message.slice(0, 120)}`);
    throw unsupported(supportedBy(answer.error.data));
  }
  if (answer.kind === 'lost' && UNHEARD.has(status)) throw new OtherEra(answer.detail);
  throw new Error(
    answer.kind === 'lost' || NOT_HANDED_OVER.has(answer.code)
      ? answer.detail
      : `its answer to server/discover was refused: ${answer.detail}`,
  );
}

function supportedBy(data: Json | undefined): readonly Json[] {
  const named = data !== undefined && isJsonObject(data) ? data.supported : undefined;
  return Array.isArray(named) ? (named as readonly Json[]) : [];
}

function unsupported(supported: readonly Json[]): Error {
  const older = supported.some((revision) => SERVED_REVISIONS.some((served) => served === revision));
  const detail = `it does not speak ${MODERN_REVISION}`;
  return older ? new OtherEra(detail) : new Error(`${detail} or any revision before`);
}
