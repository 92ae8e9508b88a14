// What a conversation with a tool server needs from its transport: whole messages in, whole messages out, and a true word about the end.
// A pipe knows nothing of JSON-RPC beyond the id of the request that a message belongs to.

import type { DenialCode } from '../../domain/denial.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { CallHooks, Dispatch, Notice, OfferKind, ServerDescription, ToolRun } from '../../proxy/tool-server.ts';

/** In place of a request's id: the message came on a stream that belongs to no request. No request of ours has this id. */
export const NO_EXCHANGE = 0;

/** The request that a message carries, for transports that answer each request on its own stream. */
export interface Exchange {
  readonly id: number;
  /** The most bytes the answer may have. */
  readonly bytesMax: number;
  /** What a transport with headers says of the message besides its text. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Turns false when the answer came or nobody waits for it any more. */
  awaited: boolean;
  /** The pipe's own: what it holds open for this request. Kept here, because a map that is written with every call is dear to collect. */
  held?: { destroy(): void } | undefined;
}

/** `sent`: handed over, or refused in an instant by `onExchangeRefused`. `full`: nothing was taken, the peer reads too slowly. `closed`: nothing was taken, the pipe has ended. */
export type Handover = 'sent' | 'full' | 'closed';

export interface MessagePipe {
  /** Hands one JSON text over before it returns. Never throws. `exchange` is present for a request, whose answer is then awaited. */
  send(text: string, exchange?: Exchange): Handover;
  /** The handshake settled on this revision. */
  agreed(protocolVersion: string): void;
  /** Nobody waits for this request any more. */
  abandon(exchange: Exchange): void;
  /** Ends in order. Resolves when nothing is left; `onClose` has been called by then. */
  close(): Promise<void>;
  /** The peer broke the protocol: ends at once. Then `onClose(detail)`. */
  destroy(detail: string): void;
}

/** An oversized message: the exchange it came on, or its first bytes (Latin-1) and, once all of it was read, its last. */
export type TooLarge = { readonly exchange: number } | { readonly head: string; readonly tail?: string };

export interface PipeHandlers {
  /** One whole message. The bytes are good during this call only. `exchange` says on whose stream it came; absent where there is one for all. */
  onMessage(bytes: Uint8Array, exchange?: number): void;
  /** The most bytes the message being read may have. More are counted and thrown away, not kept. */
  messageBytesMax(): number;
  /** Answers true once it is clear whom it concerns; until then it is asked again at the end of the message. */
  onTooLarge(what: TooLarge): boolean;
  /** The stream of this request ended without an answer; the connection lives on. `status`: what HTTP said, if it said something. */
  onExchangeLost(id: number, detail: string, status?: number): void;
  /** Nothing of this request left, or the server turned it away before it did anything. Never within `send`. */
  onExchangeRefused(id: number, detail: string, code?: DenialCode): void;
  /** What belongs to no request may have been missed, such as the word that the list of tools changed. */
  onGap(): void;
  /** Once, and nothing follows. Whatever the peer had written before is delivered first. */
  onClose(detail: string): void;
}

/** What we say to a server to be let in. */
export interface Secrets {
  isIn(message: Uint8Array): boolean;
}

/** Opens a pipe. Throws an Error with a plain explanation when it cannot even be tried. */
export type OpenPipe = (handlers: PipeHandlers) => MessagePipe;

/** Something a server asked of us and did not get. */
export interface RefusedRequest {
  readonly method: string;
  readonly detail: string;
  /** It may ask that, and there was nobody to ask, for the first time in this conversation: whoever goes on asking knows. */
  readonly nobodyThere?: true;
}

/**
 * What becomes of a peer that goes on with a call that was cancelled. `end`: it is ended as soon as nobody else's call or task is with it, and the
 * cancelled call is over when it is gone. `withhold`: it goes on, and its late answer is dropped.
 */
export type WhenIgnored = 'end' | 'withhold';

/** What is dropped without harm to a call, by kind. */
export interface DroppedCounts {
  /** Answers to a request that is not open: unknown, foreign, second or late. */
  answers: number;
  notifications: number;
  progress: number;
  requests: number;
}

/** One conversation on one pipe, in the words of one era. */
export interface UpstreamSession {
  /** Undefined before it was started and after it ended. */
  readonly description: ServerDescription | undefined;
  readonly dropped: Readonly<DroppedCounts>;
  /** Rejects with a plain explanation, and has ended the pipe then; with OtherEra when the peer made plain that it speaks another era. */
  start(): Promise<ServerDescription>;
  /** Hands the request over before it returns. What was not handed over is answered `refused`. */
  dispatch(dispatch: Dispatch, hooks: CallHooks): ToolRun;
  /** See ToolServer. */
  readonly freshForMs?: number | undefined;
  relist(): Promise<void>;
  /** Passes on what its one client said within no call, where its era has a word for it. */
  tell?(notice: Notice): void;
  /** One of its lists besides tools, whole. */
  offers(kind: OfferKind): Promise<readonly JsonObject[]>;
  /** Ends in order. */
  close(): Promise<void>;
}
