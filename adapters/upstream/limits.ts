// Bounds on what a tool server can make us keep, parse or wait for. The bytes of an answer to a call come with the call.

import type { JsonLimits } from '../../domain/strict-json.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

export interface UpstreamLimits {
  /** From spawn or connect to a complete list of tools. Package runners download first, hence a minute. */
  readonly startTimeoutMs: number;
  /** Reading the list anew. */
  readonly listTimeoutMs: number;
  /** A server that announces changes all the time is asked at most this often. */
  readonly listIntervalMs: number;
  /** After a stream broke, to learn whether the server is still there. */
  readonly pingTimeoutMs: number;
  readonly listPagesMax: number;
  /** The largest published servers list a few hundred. */
  readonly listToolsMax: number;
  /** One tool's definition. The largest seen is about 40 KiB. */
  readonly toolBytesMax: number;
  /** All pages together. The largest published servers have lists of a few hundred KiB. */
  readonly listBytesMax: number;
  /** Any message that is not an answer to a call: notifications, requests, the answer to initialize. */
  readonly messageBytesMax: number;
  /** One progress notification; its text goes on to the client. */
  readonly progressBytesMax: number;
  /** Of one call. More are dropped: nobody can look at more than this. */
  readonly progressPerSecondMax: number;
  /** One log message, and how many of one call or of no call. Some servers put whole documents into them. */
  readonly logBytesMax: number;
  readonly logsPerSecondMax: number;
  /** What belongs to no call: resources that were updated, the state of tasks. More are dropped. */
  readonly noticeBytesMax: number;
  readonly noticesPerSecondMax: number;
  /** Questions of the server that wait for a client's answer. */
  readonly questionsOpenMax: number;
  /** How long a call that was given up still counts as one that the server may work on, when it asks without saying for whom. */
  readonly givenUpMs: number;
  /** Prompts, resources or templates. */
  readonly listOffersMax: number;
  /** Messages that answer nothing. More is an attack on the event loop and ends the connection. */
  readonly unsolicitedPerSecondMax: number;
  readonly callsInFlightMax: number;
  /** How long a cancelled call may still answer. */
  readonly cancelGraceMs: number;
  /** Depth and nodes of any message. */
  readonly depthMax: number;
  readonly nodesMax: number;
}

export const UPSTREAM_LIMITS: UpstreamLimits = {
  startTimeoutMs: 60_000,
  listTimeoutMs: 30_000,
  listIntervalMs: 1_000,
  pingTimeoutMs: 5_000,
  listPagesMax: 100,
  listToolsMax: 2_000,
  toolBytesMax: 256 * KIB,
  listBytesMax: 16 * MIB,
  messageBytesMax: MIB,
  progressBytesMax: 16 * KIB,
  progressPerSecondMax: 50,
  logBytesMax: 64 * KIB,
  logsPerSecondMax: 100,
  noticeBytesMax: 64 * KIB,
  noticesPerSecondMax: 200,
  questionsOpenMax: 64,
  givenUpMs: 60_000,
  listOffersMax: 10_000,
  unsolicitedPerSecondMax: 5_000,
  callsInFlightMax: 1_024,
  cancelGraceMs: 500,
  depthMax: 128,
  nodesMax: 1_000_000,
};

/** The bound of bytes was applied while reading, so that the parser repeats it only. */
export function jsonLimits(limits: UpstreamLimits, bytes: number): JsonLimits {
  return { bytesMax: bytes, depthMax: limits.depthMax, nodesMax: limits.nodesMax };
}
