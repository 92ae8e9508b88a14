// A denial as a program gets it: thrown where the value would have been. It says what the caller may know, and under which id the rest is recorded.

import { DENIALS, type DenialCategory, type DenialCode } from '../../domain/denial.ts';
import type { JsonObject } from '../../domain/json.ts';
import { type CallEnd, deniedResult, type OperatorHints } from '../../proxy/client-view.ts';

export type DeniedEnd = Extract<CallEnd, { kind: 'denied' }>;

export class Denied extends Error {
  override readonly name = 'Denied';
  readonly code: DenialCode;
  readonly category: DenialCategory;
  /** The id under which the ledger has it. */
  readonly call: string;
  /** Whether it is certain that nothing was executed. */
  readonly executed: 'no' | 'perhaps' | 'yes';
  /** Whether the ledger has it: not when the gate is closed or its ledger cannot be written. */
  readonly recorded: boolean;
  /** Whether the same call may pass later without anybody changing a rule. */
  readonly retry: boolean;

  constructor(end: DeniedEnd, hints: OperatorHints) {
    super(textOf(deniedResult(end, hints)));
    const { category, retry } = DENIALS[end.code];
    this.code = end.code;
    this.category = category;
    this.call = end.call;
    this.executed = end.executed;
    this.recorded = end.recorded;
    this.retry = retry;
  }
}

function textOf({ content }: JsonObject): string {
  const [block] = content as readonly { readonly text: string }[];
  return block?.text ?? '';
}
