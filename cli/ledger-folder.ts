// A ledger as a command finds it: the folder, the key to trust and where that key came from, and what was kept of it outside.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { sha256, verifierOfOneKey } from '../adapters/crypto/node-crypto.ts';
import { openSecret } from '../adapters/storage/key-file.ts';
import { readEntries } from '../adapters/storage/ledger-reader.ts';
import type { Entry } from '../domain/entry.ts';
import { isJsonObject, type Json } from '../domain/json.ts';
import { type Checkpoint, openCheckpoint } from '../ledger/checkpoint.ts';
import type { Sealer } from '../ledger/ports.ts';
import { type NoteVerifier, parseVerifierKey } from '../ledger/signed-note.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { findHome } from './home.ts';
import { vaultSealer, verifierKeyFile } from './ledger.ts';
import { CommandError, reasonOf } from './output.ts';

export interface LedgerFolder {
  readonly dir: string;
  /** The gate's folder around it: key and heads lie there. */
  readonly gate: string;
}

export interface TrustedKey {
  readonly verifier: NoteVerifier;
  readonly text: string;
  /** `pinned`: given by the caller or kept beside the ledger. `claimed`: the ledger's own word. */
  readonly trust: 'pinned' | 'claimed';
  readonly from: string;
}

/** Accepts the ledger's folder or the gate's folder around it. Throws a CommandError when there is no ledger. */
export function findLedger(path: string): LedgerFolder {
  const dir = resolve(path);
  if (existsSync(join(dir, 'seg'))) return { dir, gate: dirname(dir) };
  if (existsSync(join(dir, 'ledger', 'seg'))) return { dir: join(dir, 'ledger'), gate: dir };
  throw new CommandError(`there is no ledger in ${dir}`, EXIT.error, [
    'name the folder that holds seg/',
    'to see the ledgers of this installation: portcullis doctor',
  ]);
}

/** The ledgers of this installation, the one written last first. */
export function ownLedgers(): LedgerFolder[] {
  const gates = join(findHome().state, 'gates');
  if (!existsSync(gates)) return [];
  const found = readdirSync(gates).flatMap((name) => {
    const dir = join(gates, name, 'ledger');
    if (!existsSync(join(dir, 'seg'))) return [];
    const newest = Math.max(...readdirSync(join(dir, 'seg')).map((file) => statSync(join(dir, 'seg', file)).mtimeMs));
    return [{ dir, gate: join(gates, name), newest }];
  });
  return found.sort((a, b) => b.newest - a.newest).map(({ dir, gate }) => ({ dir, gate }));
}

/** The ledger named, or the newest of this installation. */
export function ledgerOrNewest(path: string | undefined): LedgerFolder {
  if (path !== undefined) return findLedger(path);
  const [newest] = ownLedgers();
  if (newest === undefined)
    throw new CommandError('this installation has no ledger yet', EXIT.error, [
      'start a gate: portcullis wrap -- COMMAND ARGS...',
    ]);
  return newest;
}

/** The log's key: the one given, the one kept beside the ledger, or the one it claims for itself. */
export async function trustedKey(ledger: LedgerFolder | undefined, given: string | undefined): Promise<TrustedKey> {
  if (given !== undefined) {
    const text = existsSync(given) ? readFileSync(given, 'utf8').trim() : given;
    return { ...parse(text, given, EXIT.usage), trust: 'pinned', from: existsSync(given) ? given : 'the command line' };
  }
  if (ledger === undefined)
    throw new CommandError('a proof brings no key of its own', EXIT.usage, ['name the key to trust: --key VKEY']);
  const kept = verifierKeyFile(ledger.gate);
  if (existsSync(kept)) {
    // Nobody typed it: where it is damaged, what was kept was altered.
    return { ...parse(readText(kept).trim(), kept, EXIT.verificationFailed), trust: 'pinned', from: kept };
  }
  for await (const entry of readEntries(ledger.dir)) {
    if (entry.type === 'log.genesis' && typeof entry.key === 'string') {
      return {
        ...parse(entry.key, 'the first entry', EXIT.verificationFailed),
        trust: 'claimed',
        from: 'the ledger itself',
      };
    }
    break;
  }
  throw new CommandError('no key to verify with', EXIT.verificationFailed, ['name the key to trust: --key VKEY']);
}

/** Of several keys the one that is for this ledger; undefined where none was given. */
export async function keyAmong(ledger: LedgerFolder, keys: readonly string[]): Promise<string | undefined> {
  if (keys.length === 0) return undefined;
  let log = '';
  for await (const entry of readEntries(ledger.dir)) {
    log = entry.log;
    break;
  }
  for (const key of keys) if ((await trustedKey(undefined, key)).verifier.name === log) return key;
  throw new CommandError(`none of the keys is for ${log}, in ${ledger.dir}`, EXIT.usage, [
    'name one for each ledger: --key VKEY --key VKEY',
  ]);
}

function parse(text: string, from: string, otherwise: ExitCode): { verifier: NoteVerifier; text: string } {
  const verifier = parseVerifierKey(text, verifierOfOneKey(), sha256);
  if (verifier === undefined)
    throw new CommandError(`not a verifier key: ${from}`, otherwise, [
      'a verifier key reads NAME+HASH+KEY; portcullis keys prints ours',
    ]);
  return { verifier, text };
}

/** Checkpoints that the ledger must contain: the last head kept beside it, and what the caller kept. */
export function trustedCheckpoints(ledger: LedgerFolder, key: TrustedKey, file: string | undefined): Checkpoint[] {
  const checkpoints: Checkpoint[] = [];
  const add = (note: string, from: string): void => {
    const checkpoint = openCheckpoint(note, key.verifier.name, key.verifier);
    if (checkpoint !== undefined) checkpoints.push(checkpoint);
    else throw new CommandError(`${from} is not a checkpoint signed by the key for this log`, EXIT.verificationFailed);
  };
  if (file !== undefined) add(readText(file), file);
  const heads = join(ledger.gate, 'heads.json');
  // Its authenticity does not matter here: a note in it counts only with the log's own signature. But a note that is there and does not
  // count, or a document that cannot be read, is not the same as none: what was kept was altered.
  if (existsSync(heads)) {
    for (const note of notesIn(readText(heads), heads)) add(note, `the head in ${heads}`);
  }
  return checkpoints;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read ${file}: ${reasonOf(error)}`, EXIT.verificationFailed);
  }
}

function notesIn(text: string, from: string): string[] {
  const notes: string[] = [];
  const visit = (value: Json): void => {
    if (typeof value === 'string' && value.includes('\n\n')) notes.push(value);
    else if (Array.isArray(value)) value.forEach(visit);
    else if (isJsonObject(value)) Object.values(value).forEach(visit);
  };
  try {
    visit(JSON.parse(text) as Json);
  } catch {
    throw new CommandError(
      `${from} cannot be read: what was kept of the last head was altered`,
      EXIT.verificationFailed,
    );
  }
  return notes;
}

/** Opens payloads, where this installation's key is here. */
export function ownSealer(): Sealer | undefined {
  const folder = join(findHome().state, 'keys');
  if (!existsSync(join(folder, 'vault.key'))) return undefined;
  const secret = openSecret(folder, 'vault');
  return 'fault' in secret ? undefined : vaultSealer(secret.secret);
}

export async function entriesOf(ledger: LedgerFolder): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of readEntries(ledger.dir)) entries.push(entry);
  return entries;
}
