// What the audit of chains says of the entries that a gate in a test has written: nothing, whatever the test did to the gate.

import { sha256 } from '../../adapters/crypto/node-crypto.ts';
import { type ChainFinding, LineageAudit } from '../../control-plane/lineage/audit.ts';
import type { Entry } from '../../domain/entry.ts';

export function chainFindings(entries: readonly Entry[]): readonly ChainFinding[] {
  const audit = new LineageAudit(sha256);
  for (const entry of entries) audit.entry(entry);
  return audit.findings;
}
