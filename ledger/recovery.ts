// What to do with the end of a ledger. Pure: it is told what was found and decides; open.ts acts.
// A crash leaves a torn batch: lines without a commit line, or holes of zeros where sectors were lost. Everything else is not what a
// crash does, and is refused.

import type { Finding } from './scan.ts';

/** What stands behind the last good commit line. */
export interface Tail {
  readonly bytes: number;
  /** Whole lines that begin like a commit line. */
  readonly commits: number;
  /** Whether a byte of it is zero: no line of ours has one, lost sectors are made of them. */
  readonly holes: boolean;
}

export interface Found {
  readonly findings: readonly Finding[];
  readonly tail: Tail;
  /** Whether the last good commit line stands in the last segment, or that segment is empty. */
  readonly tailInLastSegment: boolean;
  /** Whether the head says that the writer had closed exactly here. */
  readonly closedHere: boolean;
}

export type RecoveryPlan =
  /** Closed in order: go on. */
  | { readonly action: 'keep' }
  /** Write the good prefix of the last segment anew, with the tail put aside. */
  | { readonly action: 'rehome' }
  | { readonly action: 'refuse'; readonly reason: string };

export function planRecovery(found: Found): RecoveryPlan {
  const { findings, tail } = found;
  if (tail.bytes === 0) {
    const [finding] = findings;
    if (finding !== undefined) return { action: 'refuse', reason: describe(finding) };
    return { action: found.closedHere ? 'keep' : 'rehome' };
  }
  if (!found.tailInLastSegment)
    return { action: 'refuse', reason: 'a segment before the last one ends within a batch' };
  if (tail.commits > 1) return { action: 'refuse', reason: `several batches are damaged: ${describe(findings[0])}` };
  if (tail.commits === 1 && !tail.holes)
    return { action: 'refuse', reason: `a whole batch is damaged: ${describe(findings[0])}` };
  return { action: 'rehome' };
}

function describe(finding: Finding | undefined): string {
  if (finding === undefined) return 'lines behind the last checkpoint';
  const { kind, segment, line, offset, detail } = finding;
  return `${kind}: ${detail} (${segment}, line ${line}, byte ${offset})`;
}
