// How large a tree of calls may grow. Each bound is reached with a denial.

export interface LineageLimits {
  /** Calls below a root, one under the other. */
  readonly depthMax: number;
  /** Calls that one execution makes in its life. */
  readonly childrenMax: number;
  /** Calls under one root in its life, itself included. */
  readonly treeMax: number;
  /** How often one chain comes to the same server. */
  readonly visitsMax: number;
  /** Scopes that an execution carries along. */
  readonly scopesMax: number;
  /** How much sooner a call must end than the one above it. */
  readonly marginMs: number;
}

export const LINEAGE_LIMITS: LineageLimits = {
  depthMax: 8,
  childrenMax: 64,
  treeMax: 1_000,
  visitsMax: 3,
  scopesMax: 16,
  marginMs: 50,
};
