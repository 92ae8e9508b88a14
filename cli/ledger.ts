// The ledger of a gate, wired: keys from disk, the folder, and recovery, which ends by the live fold what the run before left open.

import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hmacSha256, open, type SigningKey, seal, sha256, verifierOfOneKey } from '../adapters/crypto/node-crypto.ts';
import { openFileLedger } from '../adapters/storage/file-ledger.ts';
import {
  ensureKey,
  type KeyFault,
  loadPublicKey,
  openSecret,
  openSigningKey,
  privateKeyPath,
} from '../adapters/storage/key-file.ts';
import { Defect } from '../domain/defect.ts';
import type { Entry } from '../domain/entry.ts';
import type { Clock, Sealer } from '../ledger/ports.ts';
import { formatVerifierKey, noteSigner, parseVerifierKey } from '../ledger/signed-note.ts';
import type { LedgerGeneration } from '../proxy/ledger-keeper.ts';
import { closeOpen } from '../state-machines/replay.ts';
import type { LedgerWatch } from './behaviour.ts';
import { EXIT } from './exit-codes.ts';
import type { GateFolder } from './home.ts';
import { CommandError } from './output.ts';
import { systemClock } from './system-clock.ts';

export interface GateKeys {
  /** Names this installation in permits. */
  readonly instance: string;
  /** Read by the deciding thread alone. */
  readonly permitKeyFile: string;
  readonly permitPublicKey: Uint8Array;
  readonly log: SigningKey;
  /** Signs what the gate hands to agents. */
  readonly gate: SigningKey;
  readonly vault: Uint8Array;
}

function usable<T extends object>(key: T | KeyFault | undefined): T {
  if (key === undefined) return {} as T;
  if ('fault' in key) {
    throw new CommandError(`a key cannot be used: ${key.fault}`, EXIT.gateShut, [
      'bring back the file as it was; portcullis doctor looks at the keys again',
    ]);
  }
  return key;
}

/** The keys of this installation, made on the first start. */
export function openKeys(folder: string): GateKeys {
  usable(ensureKey(folder, 'permit'));
  const { publicKey } = usable(loadPublicKey(folder, 'permit'));
  const log = usable(openSigningKey(folder, 'log'));
  const gate = usable(openSigningKey(folder, 'gate'));
  const { secret } = usable(openSecret(folder, 'vault'));
  const instance = log.kid.slice(0, 16);
  const permitKeyFile = privateKeyPath(folder, 'permit');
  return { instance, permitKeyFile, permitPublicKey: publicKey, log, gate, vault: secret };
}

/** The name of a gate's log and of the key that signs it: a schema-less URL (C2SP tlog-checkpoint). */
export function originOf(keys: GateKeys, gate: string): string {
  return `portcullis.local/${keys.instance}/${gate}`;
}

/** The public key of a log as text: what a verifier pins. */
export function verifierKeyOf(keys: GateKeys, gate: string): string {
  return formatVerifierKey(originOf(keys, gate), keys.log.publicKey, sha256);
}

/** Where the public key of a gate's log lies: beside the ledger, not in it. */
export function verifierKeyFile(folder: string): string {
  return join(folder, 'log.vkey');
}

/** Writes it once, whole or not at all: half of it would be taken for one that was altered, for ever. */
async function keepVerifierKey(file: string, verifierKey: string): Promise<void> {
  if (existsSync(file)) return;
  await writeFile(`${file}.new`, `${verifierKey}\n`);
  await rename(`${file}.new`, file);
}

export function vaultSealer(key: Uint8Array): Sealer {
  return {
    seal: (plain, associated) => seal(key, plain, associated),
    open: (sealed, associated) => open(key, sealed, associated),
  };
}

/** Authenticates the head document with a key that is good for nothing else. */
export function headsMac(vaultKey: Uint8Array): (bytes: Uint8Array) => Uint8Array {
  const key = hmacSha256(vaultKey, new TextEncoder().encode('portcullis/heads/v1'));
  return (bytes) => hmacSha256(key, bytes);
}

/** The system's clock with timers that do not keep the process alive: what they do can wait for the next start. */
const ledgerClock: Clock = {
  ...systemClock,
  timer: (ms, then) => {
    const timer = setTimeout(then, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** Who has to know what is in the ledger. */
export interface LedgerObservers {
  /** Hears of every entry. */
  readonly watch?: LedgerWatch;
  /**
   * Told of the intents that recovery ends, or that there are none, when the ledger is ours and before their endings are recorded, so that whoever
   * has to remember them does. What he does not manage is told again by the next opening.
   */
  readonly onRecovered?: (intents: readonly Entry[]) => Promise<void>;
}

/** Opens the ledger, and ends as `unknown` every execution whose intent has no ending. */
export async function openGeneration(
  folder: GateFolder,
  keys: GateKeys,
  { watch, onRecovered }: LedgerObservers = {},
): Promise<LedgerGeneration> {
  const origin = originOf(keys, folder.name);
  const verifierKey = verifierKeyOf(keys, folder.name);
  const verifier = parseVerifierKey(verifierKey, verifierOfOneKey(), sha256);
  if (verifier === undefined) throw new Defect('our own log key is not a verifier key');
  const { ledger, recovered } = await openFileLedger({
    dir: folder.ledger,
    heads: folder.heads,
    headsMac: headsMac(keys.vault),
    origin,
    sha256,
    signer: noteSigner(origin, keys.log, sha256),
    verifier,
    verifierKey,
    sealer: vaultSealer(keys.vault),
    clock: ledgerClock,
  });
  try {
    const endings = recovered.openCalls.map(({ call, entry }) => {
      const ending = closeOpen({ call, entries: [entry] }, ledger.epoch);
      if (ending === undefined) throw new Error(`entry ${entry.seq}: the intent of ${call} cannot be replayed`);
      return ending;
    });
    await onRecovered?.(recovered.openCalls.map(({ entry }) => entry));
    if (endings.length > 0) await ledger.append(endings);
    await watch?.catchUp();
    await keepVerifierKey(verifierKeyFile(folder.folder), verifierKey);
  } catch (error) {
    await ledger.close();
    throw error;
  }
  return {
    epoch: ledger.epoch,
    append: async (body, payloads) => {
      const [receipt] = await ledger.append([body], payloads);
      if (receipt === undefined) throw new Defect('an append without a receipt');
      watch?.recorded(body, receipt);
      return receipt;
    },
    onFailure: (listener) => ledger.onFailure((failure) => listener(failure.message)),
    close: () => ledger.close(),
  };
}
