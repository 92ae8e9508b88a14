// portcullis prove: one call as a file that verifies without us.

import { writeFileSync } from 'node:fs';
import { sha256 } from '../../adapters/crypto/node-crypto.ts';
import { findLines, proveEntries } from '../../adapters/storage/ledger-reader.ts';
import { isUlid } from '../../domain/ids.ts';
import { decodeEntry } from '../../ledger/entry-line.ts';
import { formatProof } from '../../ledger/proof.ts';
import type { Payload } from '../../ledger/vault.ts';
import { EXIT } from '../exit-codes.ts';
import { findLedger, trustedKey } from '../ledger-folder.ts';
import { CommandError, type Output } from '../output.ts';
import { openPayloads } from '../payloads.ts';

export interface ProveOptions {
  readonly output: string;
  readonly disclose?: boolean;
}

export async function prove(path: string, call: string, options: ProveOptions, out: Output): Promise<number> {
  if (!isUlid(call))
    throw new CommandError(`"${call}" is not the id of a call`, EXIT.usage, ['portcullis log shows the ids']);
  const ledger = findLedger(path);
  const key = await trustedKey(ledger, undefined);
  const entries = (await findLines(ledger.dir, call)).flatMap(({ bytes }) => {
    const entry = decodeEntry(bytes);
    return entry?.call === call ? [entry] : [];
  });
  if (entries.length === 0)
    throw new CommandError(`the ledger has no call ${call}`, EXIT.error, ['portcullis log shows the ids']);
  let disclosures: readonly Payload[] = [];
  if (options.disclose === true) {
    const payloads = await openPayloads(ledger, entries);
    if (payloads === undefined) throw new CommandError('the key of the vault is not here, so nothing can be disclosed');
    disclosures = [...payloads.values()];
  }
  const seqs = entries.map(({ seq }) => seq);
  const proof = await proveEntries(ledger.dir, seqs, {
    origin: key.verifier.name,
    verifier: key.verifier,
    sha256,
    disclosures,
  });
  if (proof === undefined) {
    throw new CommandError(
      'the ledger does not hold together, so nothing can be proven from it',
      EXIT.verificationFailed,
      [`run: portcullis verify ${path}`],
    );
  }
  const text = formatProof(proof);
  writeFileSync(options.output, text, { mode: 0o600 });
  out.answer({ proof: options.output, call, entries: seqs, disclosed: disclosures.length, key: key.text });
  out.line(
    `wrote ${options.output}: ${seqs.length} entries, ${text.length} bytes${disclosures.length > 0 ? `, ${disclosures.length} payloads shown` : ''}`,
  );
  out.line(`  it verifies with: portcullis verify ${options.output} --key '${key.text}'`);
  return EXIT.ok;
}
