// portcullis verify: from the bytes, with keys that did not come from them.

import { readFileSync, statSync } from 'node:fs';
import { sha256 } from '../../adapters/crypto/node-crypto.ts';
import { readEntriesAt, verifyLedgerFolder } from '../../adapters/storage/ledger-reader.ts';
import { QuarantineAudit, type QuarantineFinding } from '../../control-plane/anomaly/quarantine-audit.ts';
import { type ChainFinding, LineageAudit } from '../../control-plane/lineage/audit.ts';
import { CrossLinks } from '../../control-plane/lineage/cross-links.ts';
import { RetryAudit, type RetryFinding } from '../../control-plane/retry-audit.ts';
import type { Entry } from '../../domain/entry.ts';
import { visibleText } from '../../domain/visible-text.ts';
import { parseProof, verifyProof } from '../../ledger/proof.ts';
import type { Finding } from '../../ledger/scan.ts';
import { EXIT } from '../exit-codes.ts';
import { findLedger, keyAmong, type LedgerFolder, trustedCheckpoints, trustedKey } from '../ledger-folder.ts';
import { CommandError, type Output } from '../output.ts';

export interface VerifyOptions {
  readonly key?: string;
  readonly checkpoint?: string;
  readonly quick?: boolean;
}

/** What was found in one ledger. */
interface Verified {
  readonly ok: boolean;
  /** For programs. */
  readonly answer: Readonly<Record<string, unknown>>;
  /** For people. */
  readonly say: (out: Output) => void;
}

export async function verify(path: string, options: VerifyOptions, out: Output): Promise<number> {
  if (!isFolder(path)) return verifyProofFile(path, options, out);
  const { ok, answer, say } = await verifyFolder(findLedger(path), options, () => {});
  out.answer(answer);
  say(out);
  return ok ? EXIT.ok : EXIT.verificationFailed;
}

/** Ledgers of several gates: each by itself, and then what each says of entries in the others. */
export async function verifyTogether(
  paths: readonly string[],
  { keys, ...options }: Omit<VerifyOptions, 'key'> & { readonly keys: readonly string[] },
  out: Output,
): Promise<number> {
  if (options.checkpoint !== undefined || options.quick === true)
    throw new CommandError('--checkpoint and --quick are for one ledger', EXIT.usage);
  const ledgers = paths.map(findLedger);
  const links = new CrossLinks(sha256);
  const verified: Verified[] = [];
  for (const ledger of ledgers) {
    const key = await keyAmong(ledger, keys);
    const each = { ...options, ...(key === undefined ? {} : { key }) };
    verified.push(await verifyFolder(ledger, each, (entry) => links.note(entry)));
  }
  for (const ledger of ledgers)
    await readEntriesAt(
      ledger.dir,
      (log) => links.wanted(log),
      (...read) => links.look(...read),
    );
  const report = links.report();
  const ok = verified.every((one) => one.ok) && report.findings.length === 0;
  out.answer({ ok, ledgers: verified.map(({ answer }) => answer), links: report });
  for (const { say } of verified) say(out);
  const { checked, bothWays, elsewhere, findings } = report;
  const fine = findings.length === 0;
  out.line(
    `${fine ? out.style('green', 'linked') : out.style('red', 'NOT LINKED')}  ${checked} links between these ledgers, ${bothWays} calls that both tell of; ${elsewhere} into others`,
  );
  for (const { log, seq, call, detail } of findings.slice(0, 20))
    out.line(`  ${visibleText(log)}: entry ${seq}, call ${visibleText(call, 60)}: ${visibleText(detail, 300)}`);
  return ok ? EXIT.ok : EXIT.verificationFailed;
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    throw new CommandError(`there is no ${visibleText(path)}`, EXIT.error, [
      'name the folder of a ledger or a proof file',
    ]);
  }
}

async function verifyFolder(
  ledger: LedgerFolder,
  options: VerifyOptions,
  onEntry: (entry: Entry) => void,
): Promise<Verified> {
  const key = await trustedKey(ledger, options.key);
  const trusted = trustedCheckpoints(ledger, key, options.checkpoint);
  const started = performance.now();
  const chains = new LineageAudit(sha256);
  const quarantines = new QuarantineAudit();
  const retries = new RetryAudit();
  const deep = options.quick !== true;
  const report = await verifyLedgerFolder(ledger.dir, {
    origin: key.verifier.name,
    verifier: key.verifier,
    trusted,
    deep,
    ...(deep
      ? {
          onEntry: (entry: Entry) => {
            chains.entry(entry);
            quarantines.entry(entry);
            retries.entry(entry);
            onEntry(entry);
          },
        }
      : {}),
  });
  const ms = Math.round(performance.now() - started);
  const { findings, size, checkpoint } = report;
  const told = [
    ...findings.map(findingText),
    ...chains.findings.map(chainText),
    ...quarantines.findings.map(quarantineText),
    ...retries.findings.map(retryText),
  ];
  const ok = report.ok && told.length === 0;
  const keptSizes = trusted.map((kept) => kept.size);
  const answer = {
    ok,
    ledger: ledger.dir,
    size,
    key: { trust: key.trust, from: key.from },
    keptSizes,
    findings,
    ...(deep
      ? {
          chains: { calls: chains.calls, findings: chains.findings },
          quarantines: { set: quarantines.set, lifted: quarantines.lifted, findings: quarantines.findings },
          retries: { denied: retries.denied, elsewhere: retries.elsewhere, findings: retries.findings },
        }
      : {}),
    checkpoint,
    ms,
  };
  const say = (out: Output): void => {
    if (ok) {
      out.line(`${out.style('green', 'verified')}  ${size} entries, every one under a signed head  (${ms} ms)`);
    } else {
      out.line(`${out.style('red', 'NOT VERIFIED')}  ${told.length} finding(s); intact up to entry ${size - 1}`);
      for (const line of told.slice(0, 20)) out.line(`  ${line}`);
      if (told.length > 20) out.line(`  and ${told.length - 20} more (--json shows all)`);
    }
    out.line(`  key      ${key.text.split('+')[0]}  from ${key.from}`);
    if (key.trust === 'claimed') {
      out.note(
        "the key is the ledger's own word: this shows that nothing was changed by somebody without that key, not whose ledger it is",
      );
    }
    if (trusted.length > 0) out.line(`  compared with the head kept from before, at ${keptSizes.join(', ')} entries`);
    else out.line('  no earlier head to compare with: entries cut off at the end would go unseen (--checkpoint FILE)');
  };
  return { ok, answer, say };
}

function findingText({ kind, seq, segment, line, detail }: Finding): string {
  const entry = seq === undefined ? '' : `entry ${seq}, `;
  return `${kind}: ${entry}${visibleText(segment)} line ${line}: ${visibleText(detail)}`;
}

function chainText({ rule, seq, call, detail }: ChainFinding): string {
  return `chain, ${rule}: entry ${seq}, call ${visibleText(call, 60)}: ${visibleText(detail, 300)}`;
}

function quarantineText({ seq, kind, id, detail }: QuarantineFinding): string {
  return `quarantine: entry ${seq}, ${visibleText(kind, 20)} ${visibleText(id, 80)}: ${detail}`;
}

function retryText({ seq, call, detail }: RetryFinding): string {
  return `made again: entry ${seq}, call ${visibleText(call, 60)}: ${visibleText(detail, 300)}`;
}

async function verifyProofFile(path: string, options: VerifyOptions, out: Output): Promise<number> {
  const proof = parseProof(readFileSync(path));
  if (proof === undefined) {
    out.answer({ ok: false, reason: 'not a proof file' });
    throw new CommandError(`${visibleText(path)} is not a proof file`, EXIT.verificationFailed);
  }
  const key = options.key === undefined ? await ownKeyFor(proof.origin) : await trustedKey(undefined, options.key);
  const result = verifyProof(proof, key.verifier, sha256);
  if (!result.ok) {
    out.answer({ ok: false, reason: result.reason });
    out.line(`${out.style('red', 'NOT VERIFIED')}  ${visibleText(result.reason)}`);
    return EXIT.verificationFailed;
  }
  const entries = result.entries.map(({ seq, ts, type }) => ({ seq, ts, type }));
  const disclosures = result.disclosures.map(({ commitment, bytes }) => ({
    commitment,
    text: Buffer.from(bytes).toString(),
  }));
  out.answer({ ok: true, origin: proof.origin, size: result.checkpoint.size, entries, disclosures });
  out.line(
    `${out.style('green', 'verified')}  ${entries.length} entries of ${visibleText(proof.origin)}, a log of ${result.checkpoint.size}`,
  );
  for (const { seq, ts, type } of entries) out.line(`  entry ${seq}  ${ts}  ${visibleText(type)}`);
  for (const { commitment, text } of disclosures) out.line(`  shown     ${commitment}  ${visibleText(text, 300)}`);
  out.line(`  key      from ${key.from}`);
  return EXIT.ok;
}

/** A proof of one of our own logs needs no --key. */
async function ownKeyFor(origin: string): Promise<Awaited<ReturnType<typeof trustedKey>>> {
  const { ownLedgers } = await import('../ledger-folder.ts');
  for (const ledger of ownLedgers()) {
    const key = await trustedKey(ledger, undefined);
    if (key.trust === 'pinned' && key.verifier.name === origin) return key;
  }
  return trustedKey(undefined, undefined);
}
