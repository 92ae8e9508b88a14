// The place of an execution in its chain. In this form every execution is a root; children join with lineage tokens.

import type { CallId } from './ids.ts';

export interface Lineage {
  readonly root: CallId;
  readonly node: CallId;
  readonly parent: CallId | null;
  readonly depth: number;
}

export function rootLineage(call: CallId): Lineage {
  return { root: call, node: call, parent: null, depth: 0 };
}
