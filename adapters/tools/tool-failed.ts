// A tool that ran and failed, as a program gets it: what it said is in the ledger, word for word.

import type { ReleaseReceipt } from '../../proxy/client-view.ts';

export class ToolFailed extends Error {
  override readonly name = 'ToolFailed';
  /** The id under which the ledger has it, and the number of the entry. */
  readonly call: string;
  readonly entry: number;

  constructor(message: string, { call, entry }: ReleaseReceipt) {
    super(message);
    this.call = call;
    this.entry = entry;
  }
}
