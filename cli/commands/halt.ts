// portcullis halt and portcullis resume: nothing passes a gate, whatever the rules say, until its operator lifts that. It outlives the gate.

import { operate } from '../operated-gates.ts';
import type { Output } from '../output.ts';

export interface HaltOptions {
  readonly name?: string;
  readonly reason?: string;
}

const REASON_CHARACTERS_MAX = 200;

export function halt({ name, reason = 'by its operator' }: HaltOptions, out: Output): Promise<number> {
  const order = { what: 'halt', reason: reason.slice(0, REASON_CHARACTERS_MAX) } as const;
  return operate(name, order, (stopped) => `halted  ${stopped} running call(s) stopped`, out);
}

export function resume({ name }: HaltOptions, out: Output): Promise<number> {
  return operate(name, { what: 'resume' }, () => 'resumed', out);
}
