// Rounds of one call, each an execution: what a later one has to know of the one before, which has ended because it needed an answer first.

import type { EarlierRound } from '../control-plane/lineage/place.ts';
import type { RunningCall } from './running-call.ts';

/** What goes on with a call that has ended. `before`: what that one went on with. */
export function goingOnWith(
  { call, lineage }: Pick<RunningCall, 'call' | 'lineage'>,
  before: EarlierRound | undefined,
): EarlierRound {
  const { root, parent, issuer, narrowed } = lineage;
  return {
    call,
    root,
    parent,
    ...(issuer === undefined ? {} : { issuer }),
    ...(narrowed === undefined ? {} : { narrowed }),
    before: before === undefined ? [] : [...before.before, before.call],
  };
}
