// Bounds of the way out of a sandbox. They are wide for a server that works and narrow for one that floods.

export interface EgressLimits {
  readonly headerBytesMax: number;
  readonly headerMs: number;
  readonly resolveMs: number;
  readonly connectMs: number;
  readonly idleMs: number;
  readonly lifeMs: number;
  /** So often it is asked whether a server that has something open may still go out. */
  readonly recheckMs: number;
  /** Both directions of one connection. */
  readonly bytesMax: number;
  /** Connections at once. */
  readonly openMax: number;
  /** Entries of the ledger at once, and so many more each second. */
  readonly entriesBurst: number;
  readonly entriesPerSecond: number;
  /** Refusals beyond that are counted, and told together this often. */
  readonly summaryMs: number;
}

export const EGRESS_LIMITS: EgressLimits = {
  headerBytesMax: 16 * 1024,
  headerMs: 15_000,
  resolveMs: 10_000,
  connectMs: 10_000,
  // Some services hold a silent connection open for minutes and say a word to keep it.
  idleMs: 10 * 60_000,
  lifeMs: 24 * 3_600_000,
  recheckMs: 500,
  bytesMax: 4 * 1024 * 1024 * 1024,
  // A page of a browser opens some tens.
  openMax: 128,
  entriesBurst: 512,
  entriesPerSecond: 8,
  summaryMs: 10_000,
};
