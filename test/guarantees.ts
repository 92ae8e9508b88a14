// The promises of the product as data. A test that proves one cites it; test/unit/guarantees.test.ts fails when an id in force is not
// cited anywhere.

import { it } from 'vitest';

export const GUARANTEES = {
  G1: 'Nothing executes without a verified, single-use permit and a ledger entry that is durable before the tool hears of the call',
  G2: 'What was permitted is what is sent, byte for byte: policy, permit, ledger and tool see one canonical value',
  G3: 'One permit, one call, also across restarts',
  G4: 'No rule, no call: every error, timeout, missing or unknown thing, in any component, ends in denial',
  G5: 'Same inputs, same transitions: replay is the live code and reproduces every decision',
  G6: 'Every call ends in exactly one recorded ending; if that cannot be written, the gate halts shut',
  G7: 'An entry cannot be changed, dropped, reordered or truncated unseen by someone who holds an earlier checkpoint',
  G8: 'No MCP message slips past: closed method table, both directions, every protocol revision',
  G9: 'A client learns nothing it may not: a forbidden tool looks like a missing one',
  G10: 'What the console or CLI calls verified was verified there, from bytes',
  G11: 'A child never has more authority than every one of its ancestors, and dies with them',
  G12: 'A revocation stops what is already running, not only what comes next',
} as const;

export type GuaranteeId = keyof typeof GUARANTEES;

/** Promises not in force yet, each with what is missing. An entry here that is cited by a test is an error too. */
export const NOT_YET: Partial<Record<GuaranteeId, string>> = {};

/** A test that proves a promise: `it` with the promise's id in front of the sentence. */
export function proves(id: GuaranteeId, sentence: string, body: () => void | Promise<void>, timeoutMs?: number): void {
  it(`${id}: ${sentence}`, body, timeoutMs);
}
