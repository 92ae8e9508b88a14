// A server's list of tools: read whole, believed whole or not at all, and read anew when the server says that it changed, or when it is asked again although
// it said nothing.

import { canonicalJson } from '../../../domain/canonical-json.ts';
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
  /** Asked besides the list when nobody said that it changed. Resolves with whether what it says there is another. */
  readonly besides?: () => Promise<boolean>;
  /** Calls are with it: it may take its time to answer what nobody waits for. */
  readonly isBusy: () => boolean;
  /** An old list must not be taken for the new one: whatever goes wrong while it is read anew ends the connection. */
  readonly violate: (detail: string) => void;
}

export class ToolList {
  readonly #options: ToolListOptions;
  /** Nothing is read anew before it was read first. */
  #isReading = true;
  #again = false;
  #hasTools = false;
  #known: readonly ToolDefinition[] = [];
  #reading: Promise<void> = Promise.resolve();

  constructor(options: ToolListOptions) {
    this.#options = options;
  }

  /** The first reading; a server without tools is not asked for them. */
  async first(hasTools: boolean): Promise<readonly ToolDefinition[]> {
    const { ask, limits } = this.#options;
    this.#hasTools = hasTools;
    this.#known = hasTools ? await readToolList(ask, limits) : [];
    this.#isReading = false;
    if (this.#again) this.#later();
    return this.#known;
  }

  /** The server says that its list changed, or it may have said so. */
  changed(): void {
    if (this.#isReading) this.#again = true;
    else void this.#read(false);
  }

  /** Nobody said that it changed. Resolves when it has been read, and was told where it is another; never rejects. */
  again(): Promise<void> {
    if (!this.#isReading) void this.#read(true);
    return this.#reading;
  }

  #read(unasked: boolean): Promise<void> {
    this.#reading = this.#readNow(unasked);
    return this.#reading;
  }

  async #readNow(unasked: boolean): Promise<void> {
    const { limits, ask, hasEnded, onRead, violate, besides, isBusy } = this.#options;
    this.#isReading = true;
    this.#again = false;
    const late = () => {
      if (unasked && isBusy()) timer = setTimeout(late, limits.listTimeoutMs);
      else violate(`it did not list its tools within ${limits.listTimeoutMs} ms`);
    };
    let timer = setTimeout(late, limits.listTimeoutMs);
    try {
      const isAnother = unasked && (await besides?.());
      const tools = this.#hasTools || !unasked ? await readToolList(ask, limits) : [];
      if (hasEnded()) return;
      const before = this.#known;
      this.#known = tools;
      if (!unasked || isAnother === true || textOf(before) !== textOf(tools)) onRead(tools);
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

function textOf(tools: readonly ToolDefinition[]): string {
  return canonicalJson(tools.map(({ raw }) => raw));
}
