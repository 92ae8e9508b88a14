// What was known of earlier calls, as somebody wrote it down: in the input of a recorded decision, or in a call that nobody makes.

import { z } from 'zod';
import { isJsonObject, type Json } from '../../domain/json.ts';
import type { HistoryFacts } from '../authorization.ts';

const groups = z.array(z.string().min(1).max(64)).max(1_024);
const count = z.int().nonnegative();

const FACTS = z.strictObject({
  firstUse: z.boolean(),
  newShape: z.boolean(),
  rate: count,
  burst: count,
  agentUsed: groups,
  chainUsed: groups,
});

/** As much of it as is said: what is not is as for somebody who does what he always does. */
export const STATED_HISTORY = FACTS.partial();
export type StatedHistory = z.output<typeof STATED_HISTORY>;

/** Undefined where it is not that. */
export function readHistory(value: Json | undefined): HistoryFacts | undefined {
  return isJsonObject(value) ? FACTS.safeParse(value).data : undefined;
}

/** A use like every other: the action is known, so are the arguments, and nothing else was done lately. */
export function historyWith(stated: StatedHistory = {}): HistoryFacts {
  const { firstUse = false, newShape = firstUse, rate = 1, burst = 100, agentUsed = [], chainUsed = [] } = stated;
  return { firstUse, newShape, rate, burst, agentUsed, chainUsed };
}
