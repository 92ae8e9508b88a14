// The port to a tool server, as the gate uses it: what the server offers, and one call handed over in the tick it is asked for.
// Types only. Nothing here decides whether a call may be made, and an adapter never sends a call a second time.

import type { DenialCode } from '../domain/denial.ts';
import type { Json, JsonObject } from '../domain/json.ts';

export interface ToolDefinition {
  /** As the server spells it. Unique within the server. */
  readonly name: string;
  /** The whole definition as received. It is hostile text until it was approved. */
  readonly raw: JsonObject;
}

export interface ServerDescription {
  /** Our name for the server, from the configuration; never the one it gives itself. */
  readonly name: string;
  readonly protocolVersion: string;
  readonly serverInfo: JsonObject;
  readonly capabilities: JsonObject;
  readonly instructions?: string;
  readonly tools: readonly ToolDefinition[];
}

export interface Dispatch {
  readonly method: 'tools/call';
  /** The client's `_meta` as far as it is forwarded. A `progressToken` in it is replaced by our own. */
  readonly meta: JsonObject;
  /** Canonical JSON text of the params without `_meta`, sent byte for byte: `{"arguments":{…},"name":"x"}`. */
  readonly body: string;
  /** The most bytes the answer may have, counted as the whole JSON-RPC message. */
  readonly outputBytesMax: number;
}

export interface ToolError {
  readonly code: number;
  readonly message: string;
  readonly data?: Json;
}

export type ToolAnswer =
  | { readonly kind: 'result'; readonly result: JsonObject; readonly bytes: number }
  | { readonly kind: 'error'; readonly error: ToolError; readonly bytes: number }
  /**
   * Never released. OUTPUT_INVALID and OUTPUT_TOO_LARGE: the tool ran and answered badly. SERVER_UNAVAILABLE and OVERLOADED: nothing
   * of this call was handed to the transport, so the tool did not hear of it.
   */
  | { readonly kind: 'refused'; readonly code: DenialCode; readonly detail: string; readonly bytes?: number }
  /** The connection or the process ended first, or a cancelled call stayed silent: it may have run. */
  | { readonly kind: 'lost'; readonly detail: string };

export interface ToolRun {
  /** Never rejects. It stays open until the server answers or ends: a deadline is the caller's, who then cancels. */
  readonly answer: Promise<ToolAnswer>;
  /** Tells the server, which may ignore it. An answer that still comes within the grace counts; then the run is `lost`. */
  cancel(reason: string): void;
}

/** `tools`: the list was read anew. `down`: the description is gone and calls in flight are lost. `up`: a start succeeded. */
export type ServerChange = 'tools' | 'down' | 'up';

export interface ToolServer {
  readonly name: string;
  /** Current description, or undefined while starting or down. */
  readonly description: ServerDescription | undefined;
  /** Resolves when ready; rejects with a plain explanation. Soon after repeated failures it rejects without trying. */
  start(): Promise<ServerDescription>;
  /** Hands the bytes to the transport in this very tick, before it returns. */
  dispatch(dispatch: Dispatch, onProgress: (params: JsonObject) => void): ToolRun;
  onChange(listener: (change: ServerChange) => void): void;
  /** Resolves when nothing of the server is left running. Calls in flight are lost. start() may be called again. */
  stop(): Promise<void>;
}
