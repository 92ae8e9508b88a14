// The port to a peer that executes: a tool server, or the client when a server asks it something. What it offers, and one call handed over in
// the tick it is asked for. It is neutral: which revision a peer speaks is its adapter's, and so is what that revision calls things.
// Types only. Nothing here decides whether a call may be made, and an adapter never sends a call a second time.

import type { Denial, DenialCode } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { ClaimedClient } from './claimed-client.ts';

/** `legacy`: 2024-11-05 to 2025-11-25, with a handshake and requests in both directions. `modern`: 2026-07-28, without. */
export type Era = 'legacy' | 'modern';

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

/** What may be listed besides tools, by the member of the listing that holds it. */
export type OfferKind = 'prompts' | 'resources' | 'resourceTemplates';

/** What a client can be asked, said the way 2026-07-28 says it; revisions before have no word for some of it. */
export type ClientCapabilities = JsonObject;

export interface Dispatch {
  readonly method: string;
  /** The sender's `_meta` as far as it is forwarded. A `progressToken` in it is replaced by our own. */
  readonly meta: JsonObject;
  /** Canonical JSON text of the params without `_meta`, sent byte for byte: `{"arguments":{…},"name":"x"}`. */
  readonly body: string;
  /** The most bytes the answer may have, counted as the whole JSON-RPC message. */
  readonly outputBytesMax: number;
  readonly manner: Manner;
}

/** How the client speaks, for a server that has to know. It decides nothing and no permit binds it. */
export interface Manner {
  /** The era of the client: a server that speaks both is spoken to in it. */
  readonly era: Era;
  readonly capabilities: ClientCapabilities;
  /** The least severe log message that the client wants; none was named when absent. */
  readonly logLevel?: string;
  /** Stands for the client and says nothing about it: two calls with the same one are of one client, and reach a server of its own alike. */
  readonly sender?: object;
  /** Who the client says that it is. It goes into the ledger and nowhere else. */
  readonly claimed?: ClaimedClient;
}

export const PLAIN_MANNER: Manner = { era: 'legacy', capabilities: {} };

/** What a server may ask its client; every other request of a server is refused. */
export const QUESTION_METHODS: ReadonlySet<string> = new Set([
  'sampling/createMessage',
  'elicitation/create',
  'roots/list',
]);

/** A server's request to the client, made while it works on a call. */
export interface Question {
  /** One of QUESTION_METHODS. */
  readonly method: string;
  /** With its `_meta`, if it has one. */
  readonly params: JsonObject;
  /** Told how far the client has come, where the server wants to know: progress, without its token. */
  readonly onProgress?: (params: JsonObject) => void;
}

/** What the client answered, or why it was not asked. */
export type QuestionAnswer =
  | { readonly kind: 'result'; readonly result: JsonObject }
  | { readonly kind: 'error'; readonly error: ToolError };

export interface Asking {
  /** Never rejects. */
  readonly answer: Promise<QuestionAnswer>;
  /** The server does not want to know any more. */
  cancel(reason: string): void;
}

/** What a peer may say while it works on a call. */
export interface CallHooks {
  /** Progress, without its token. */
  onProgress(params: JsonObject): void;
  /** A log message: the params of `notifications/message`. */
  onLog(params: JsonObject): void;
  ask(question: Question): Asking;
}

export interface ToolError {
  readonly code: number;
  readonly message: string;
  readonly data?: Json;
}

/**
 * What kind of result it is. `input_required`: the server needs answers before it goes on, and has forgotten the call. `task`: it goes on, and
 * its result is asked for later.
 */
export type ResultType = 'complete' | 'input_required' | 'task';

export type ToolAnswer =
  /** `result` does not contain `resultType`: the type says it. */
  | {
      readonly kind: 'result';
      readonly result: JsonObject;
      readonly bytes: number;
      /** `complete` when absent. */
      readonly type?: ResultType;
    }
  | { readonly kind: 'error'; readonly error: ToolError; readonly bytes: number }
  /**
   * Never released. OUTPUT_INVALID and OUTPUT_TOO_LARGE: the tool ran and answered badly. A code in NOT_HANDED_OVER: nothing of this call
   * reached the server, or it turned the call away for want of authorisation, so the tool did not hear of it.
   */
  | { readonly kind: 'refused'; readonly code: DenialCode; readonly detail: string; readonly bytes?: number }
  /** The connection or the process ended first, or a cancelled call stayed silent: it may have run. */
  | { readonly kind: 'lost'; readonly detail: string };

export const NOT_HANDED_OVER: ReadonlySet<DenialCode> = new Set(['SERVER_UNAVAILABLE', 'OVERLOADED', 'ENV_TLS_PIN']);

export interface ToolRun {
  /** Never rejects. It stays open until the peer answers or ends: a deadline is the caller's, who then cancels. */
  readonly answer: Promise<ToolAnswer>;
  /**
   * Tells the peer, which may ignore it. An answer that still comes within the grace counts; then the run is `lost`, and
   * the peer may be ended for it. `gently`: nobody took authority away, so a peer that says nothing more of it is left alone.
   */
  cancel(reason: string, gently?: boolean): void;
}

/** A process that we started and that calls back, over a connection which is nobody else's. */
export interface OwnProcess {
  /** Tells it from every other process. */
  readonly key: string;
  /** Names its connection, as in its principal. */
  readonly connection: Digest;
}

/** Whoever executes. */
export interface Peer {
  /** The process that takes what is dispatched now, where it is one that calls back. */
  readonly process?: OwnProcess | undefined;
  /** Hands the bytes to the transport in this very tick, before it returns. */
  dispatch(dispatch: Dispatch, hooks: CallHooks): ToolRun;
}

/** A notification of a server that belongs to no call: lists that changed, resources that were updated, tasks, log messages. */
export interface Notice {
  readonly method: string;
  readonly params: JsonObject;
}

/** With these a server says that what it offers besides tools is another. */
export const OFFERS_CHANGED: ReadonlySet<string> = new Set([
  'notifications/prompts/list_changed',
  'notifications/resources/list_changed',
]);

/** `tools`: the list was read anew. `down`: the description is gone and calls in flight are lost. `up`: a start succeeded. */
export type ServerChange = 'tools' | 'down' | 'up';

export interface ToolServer extends Peer {
  readonly name: string;
  /** Current description, or undefined while starting or down. */
  readonly description: ServerDescription | undefined;
  /** Why there is none, where that is more than that it is not there. */
  readonly fault?: Denial | undefined;
  /** Pins of the keys that it has shown on connections of ours since it was configured; none without TLS. */
  readonly tlsKeys?: readonly Digest[];
  /** Resolves when ready; rejects with a plain explanation. Soon after repeated failures it rejects without trying. */
  start(): Promise<ServerDescription>;
  /** A client of this era will call: a server that may speak it too is made ready, if that is soon done. Never rejects. */
  meet?(era: Era): Promise<void>;
  /** For how long what it listed holds, by its own word; undefined where it says nothing of that. */
  readonly freshForMs?: number | undefined;
  /** Asks it anew what it offers. Resolves when `description` is that, or when it is not there any more; `tools` is told where it is another. */
  relist?(): Promise<void>;
  /** Reads a list whole. Rejects with a plain explanation; a server without that capability has an empty one. */
  list(kind: OfferKind): Promise<readonly JsonObject[]>;
  onChange(listener: (change: ServerChange) => void): void;
  onNotice(listener: (notice: Notice) => void): void;
  /** Asks the listener what the server asks within no call; without an answer from there it is refused. At most one listener. */
  onQuestion?(listener: (question: Question) => Asking | undefined): void;
  /** Tells the server what its one client said that belongs to no call. Dropped while it is not there, and where its era has no word for it. */
  tell?(notice: Notice): void;
  /** Resolves when nothing of the server is left running. Calls in flight are lost. start() may be called again. */
  stop(): Promise<void>;
}
