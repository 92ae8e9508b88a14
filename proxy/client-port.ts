// What the edge that faces clients needs: conversations to hand bytes to. The edge authenticates, frames and bounds; it never looks into a
// message and never answers one itself.

import type { Denial, DenialCode } from '../domain/denial.ts';
import type { Principal } from '../domain/principal.ts';

/** What an accepted connection or credential proved. */
export interface ClientIdentity {
  readonly principal: Principal;
}

/** Which servers a conversation sees: all of them with qualified names, or one with its own names. */
export type ViewName = { readonly kind: 'all' } | { readonly kind: 'server'; readonly server: string };

export type CloseReason = 'client' | 'disconnect' | 'shutdown';

/** Sends one JSON text that belongs to the message being answered. `status` is for edges that speak HTTP; 200 when absent. */
export type Reply = (json: string, status?: number) => void;

/** The headers of an HTTP request that belong to the protocol, names in lower case. Hostile text. */
export type ProtocolHeaders = Readonly<Record<string, string>>;

/** How one message came, beside its bytes. */
export interface Delivery {
  /** On HTTP: `mcp-*` and whatever else the revision defines. Absent where there are no headers. */
  readonly headers?: ProtocolHeaders;
  /** Tells once when the client can hear no more of this message: its response stream was closed. Absent where that cannot be told. */
  readonly onGone?: (listener: () => void) => void;
  /** Unix milliseconds: when what the message opens ends, because the credential that came with it does. Absent where it does not end. */
  readonly until?: number | undefined;
}

/** One client's conversation with the gate, bound to one principal and one view. */
export interface ClientSession {
  /** The revision agreed in `initialize`, once it was. Stays undefined where a revision knows no handshake. */
  readonly revision: string | undefined;
  /**
   * Handles one message exactly as it came from the wire. Never rejects. Resolves when nothing more will be sent for it; a cancelled
   * request resolves without a reply.
   */
  receive(message: Uint8Array, reply: Reply, delivery?: Delivery): Promise<void>;
  /** Records and answers a message that the edge had to refuse before its bytes were whole. */
  refuse(code: DenialCode, detail: string, reply: Reply, delivery?: Delivery): Promise<void>;
  /** Where messages go that belong to no request. */
  onNotification(send: Reply): void;
  /** The edge is about to close: what only listens is ended now, calls go on. */
  stopListening?(): void;
  /** The client went away: calls in flight are cancelled. Resolves when they have ended. */
  close(reason: CloseReason): Promise<void>;
}

export interface ClientSessions {
  /** `ahead`: a server of its own is started when the client is told what it may call there, and not with the first call. */
  open(identity: ClientIdentity, view: ViewName, ahead?: 'ahead'): ClientSession | Denial;
  /** Records what somebody known sent outside of any conversation and was refused. Never rejects. */
  refuse(identity: ClientIdentity, view: ViewName, code: DenialCode, detail: string): Promise<void>;
}
