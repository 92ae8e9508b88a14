// Every bound of the connections to other gates.

import { FEED_CHARACTERS_MAX } from '../../domain/feed-message.ts';

export interface PeerLimits {
  /** Bytes of one text: these are ASCII. */
  readonly messageBytesMax: number;
  /** How much may wait for a gate that does not read. */
  readonly waitingBytesMax: number;
  /** Connections that others have opened, whether they have proved anything or not. */
  readonly connectionsMax: number;
  readonly connectTimeoutMs: number;
  /** Between two attempts to dial: the first, and the longest. */
  readonly againAfterMs: number;
  readonly againAfterMsMax: number;
  /** From our close frame to the end of the connection. */
  readonly closeGraceMs: number;
}

export const PEER_LIMITS: PeerLimits = {
  messageBytesMax: FEED_CHARACTERS_MAX,
  waitingBytesMax: 4 * FEED_CHARACTERS_MAX,
  connectionsMax: 32,
  connectTimeoutMs: 5_000,
  againAfterMs: 200,
  againAfterMsMax: 5_000,
  closeGraceMs: 500,
};

/** Of the WebSocket. */
export const PEER_SUBPROTOCOL = 'portcullis-feed';
/** Where a gate takes other gates in. */
export const PEER_PATH = '/peer';
