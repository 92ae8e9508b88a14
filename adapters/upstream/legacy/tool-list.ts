// A server's list of tools: read whole, believed whole or not at all, and read anew when the server says that it changed.

import { isJsonObject } from '../../../domain/json.ts';
import type { ToolDefinition } from '../../../proxy/tool-server.ts';
import type { UpstreamLimits } from '../limits.ts';
import { quoted } from '../unparsed.ts';
import { type AskForPage, readPages } from './pages.ts';

/** Rejects when the list or one of its tools is too large, a cursor or a name comes twice, or something in it is not a tool. */
export async function readToolList(ask: AskForPage, limits: UpstreamLimits): Promise<readonly ToolDefinition[]> {
  const tools: ToolDefinition[] = [];
  const names = new Set<string>();
  const take: Parameters<typeof readPages>[1]['take'] = (raw) => {
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
  };
  await readPages(ask, { member: 'tools', called: 'its list of tools', take }, limits);
  return tools;
}

export interface ToolListOptions {
  readonly limits: UpstreamLimits;
  readonly ask: AskForPage;
  readonly hasEnded: () => boolean;
  /** The list was read anew. */
  readonly onRead: (tools: readonly ToolDefinition[]) => void;
  /** An old list must not be taken for the new one: whatever goes wrong while it is read anew ends the connection. */
  readonly violate: (detail: string) => void;
}

export class ToolList {
  readonly #options: ToolListOptions;
  /** Nothing is read anew before it was read first. */
  #isReading = true;
  #again = false;

  constructor(options: ToolListOptions) {
    this.#options = options;
  }

  /** The first reading; a server without tools is not asked for them. */
  async first(hasTools: boolean): Promise<readonly ToolDefinition[]> {
    const { ask, limits } = this.#options;
    const tools = hasTools ? await readToolList(ask, limits) : [];
    this.#isReading = false;
    if (this.#again) this.#later();
    return tools;
  }

  /** The server says that its list changed, or it may have said so. */
  changed(): void {
    if (this.#isReading) this.#again = true;
    else void this.#read();
  }

  async #read(): Promise<void> {
    const { limits, ask, hasEnded, onRead, violate } = this.#options;
    this.#isReading = true;
    this.#again = false;
    const late = () => violate(`it did not list its tools within ${limits.listTimeoutMs} ms`);
    const timer = setTimeout(late, limits.listTimeoutMs);
    try {
      const tools = await readToolList(ask, limits);
      if (hasEnded()) return;
      onRead(tools);
    } catch (error) {
      return violate(error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(timer);
      this.#isReading = false;
    }
    if (this.#again) this.#later();
  }

  #later(): void {
    const { limits, hasEnded } = this.#options;
    setTimeout(() => {
      if (!hasEnded()) this.changed();
    }, limits.listIntervalMs).unref();
  }
}
