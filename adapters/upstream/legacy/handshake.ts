// The handshake of the revisions up to 2025-11-25: what we say of ourselves, and what of a server's answer is believed.

import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import { CARRIED_CAPABILITIES } from '../../../proxy/client-capabilities.ts';
import type { ServerDescription } from '../../../proxy/tool-server.ts';
import { quoted } from '../unparsed.ts';

const OFFERED = '2025-11-25';
const SPOKEN: readonly string[] = [OFFERED, '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07'];

/**
 * The params of `initialize`. A server is told that everything can be asked that we carry: which client will be there, and what rules let
 * through, is known with each question only.
 */
export function helloOf(clientInfo: JsonObject): JsonObject {
  return { capabilities: CARRIED_CAPABILITIES, clientInfo, protocolVersion: OFFERED };
}

/** What a server says of itself. Throws with a plain explanation when it is none that we can speak with. */
export function readHello(answer: JsonObject): Omit<ServerDescription, 'name' | 'tools'> {
  const { protocolVersion, capabilities, serverInfo, instructions } = answer;
  if (typeof protocolVersion !== 'string' || !SPOKEN.includes(protocolVersion))
    throw new Error(`it answered initialize with the unknown revision ${quoted(String(protocolVersion))}`);
  if (!isJsonObject(capabilities) || !isJsonObject(serverInfo))
    throw new Error('its answer to initialize lacks capabilities or serverInfo');
  if (instructions !== undefined && typeof instructions !== 'string') throw new Error('its instructions are not text');
  return { protocolVersion, serverInfo, capabilities, ...(instructions === undefined ? {} : { instructions }) };
}
