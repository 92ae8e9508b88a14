// What drives an agent: a model that reads what came of its calls and says what to do next. Here it is a script, so that every run is the same; a
// language model would stand in its place and nothing else would change.

import type { JsonObject } from '../../domain/json.ts';
import type { Scope } from '../../domain/scope.ts';

export interface ToolUse {
  readonly tool: string;
  readonly args: JsonObject;
  /** The most that whoever carries it out may do for it. */
  readonly handOn?: Scope;
}

/** What came of a call: text to the model, a refusal like everything else. */
export interface Seen {
  readonly use: ToolUse;
  readonly text: string;
  /** The code of the denial, where it was one. */
  readonly denied: string | undefined;
}

/** The next call, or the answer. */
export type Model = (seen: readonly Seen[]) => ToolUse | string;

/** More than any script here needs: a model that never comes to an end is stopped. */
const TURNS_MAX = 16;

/** Runs a model to its answer. */
export async function work(model: Model, call: (use: ToolUse) => Promise<Seen>): Promise<string> {
  const seen: Seen[] = [];
  while (seen.length < TURNS_MAX) {
    const next = model(seen);
    if (typeof next === 'string') return next;
    seen.push(await call(next));
  }
  return `no answer after ${TURNS_MAX} calls`;
}
