// What a client can be asked, in one spelling for all revisions: the one of 2026-07-28. It is the client's own word. A question it did not
// declare is never put to it; that it declared one allows nothing.

import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { ClientCapabilities, Question } from './tool-server.ts';

/** Whether a client with these capabilities can be asked this. */
export function canBeAsked(capabilities: ClientCapabilities, { method, params }: Question): boolean {
  const { sampling, elicitation, roots } = capabilities;
  switch (method) {
    case 'sampling/createMessage': {
      const withTools = params.tools !== undefined || params.toolChoice !== undefined;
      return isJsonObject(sampling) && (!withTools || isJsonObject(sampling.tools));
    }
    case 'elicitation/create': {
      if (!isJsonObject(elicitation)) return false;
      // Revisions before 2025-11-25 knew forms only, and had no word for them.
      const formsOnly = elicitation.form === undefined && elicitation.url === undefined;
      return params.mode === 'url' ? isJsonObject(elicitation.url) : formsOnly || isJsonObject(elicitation.form);
    }
    case 'roots/list':
      return isJsonObject(roots);
    default:
      return false;
  }
}

/** What a server may be told that its clients can be asked, where it is told before any call: everything that we carry. */
export const CARRIED_CAPABILITIES: JsonObject = {
  elicitation: { form: {}, url: {} },
  roots: { listChanged: true },
  sampling: { context: {}, tools: {} },
};
