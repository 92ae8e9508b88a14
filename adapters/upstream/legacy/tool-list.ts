// All pages of tools/list, or a plain reason why the list cannot be believed. A list is taken whole or not at all.

import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import type { ToolDefinition } from '../../../proxy/tool-server.ts';
import type { UpstreamLimits } from '../limits.ts';
import { quoted } from '../unparsed.ts';

/** Asks for one page; rejects with a plain explanation. */
export type AskForPage = (params: JsonObject, bytesMax: number) => Promise<JsonObject>;

/** Rejects when the list or one of its tools is too large, a cursor or a name comes twice, or something in it is not a tool. */
export async function readToolList(ask: AskForPage, limits: UpstreamLimits): Promise<readonly ToolDefinition[]> {
  const tools: ToolDefinition[] = [];
  const names = new Set<string>();
  const cursors = new Set<string>();
  let bytesLeft = limits.listBytesMax;
  let params: JsonObject = {};
  for (let page = 1; page <= limits.listPagesMax; page++) {
    const result = await ask(params, bytesLeft);
    bytesLeft -= JSON.stringify(result).length;
    if (bytesLeft < 0) throw new Error(`its list of tools is larger than ${limits.listBytesMax} bytes`);
    const listed = result.tools;
    if (!Array.isArray(listed)) throw new Error('its list of tools is not a list');
    for (const raw of listed) {
      const name = isJsonObject(raw) ? raw.name : undefined;
      if (!isJsonObject(raw) || typeof name !== 'string' || name === '')
        throw new Error('its list of tools holds a tool without a name');
      // The protocol requires it, and without it nobody can say what a valid call is.
      if (!isJsonObject(raw.inputSchema) || (raw.outputSchema !== undefined && !isJsonObject(raw.outputSchema)))
        throw new Error(`it lists the tool ${quoted(name)} with a schema that is missing or no object`);
      if (names.has(name)) throw new Error(`it lists the tool ${quoted(name)} twice`);
      if (Buffer.byteLength(JSON.stringify(raw)) > limits.toolBytesMax)
        throw new Error(`the definition of its tool ${quoted(name)} is larger than ${limits.toolBytesMax} bytes`);
      if (tools.length >= limits.listToolsMax) throw new Error(`it lists more than ${limits.listToolsMax} tools`);
      names.add(name);
      tools.push({ name, raw });
    }
    const cursor = result.nextCursor;
    if (cursor === undefined || cursor === null) return tools;
    if (typeof cursor !== 'string') throw new Error('a cursor of its list of tools is not text');
    if (cursors.has(cursor)) throw new Error('its list of tools repeats a cursor');
    cursors.add(cursor);
    params = { cursor };
  }
  throw new Error(`its list of tools has more than ${limits.listPagesMax} pages`);
}
