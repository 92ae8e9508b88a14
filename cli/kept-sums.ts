// Sums over the entries of a ledger, kept in sealed documents beside it so that a start need not read all of it. The ledger is the truth: what a document
// does not hold yet is read from the entries behind it, and one that is gone, was altered or belongs to another ledger is made anew from all of them.

import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { hmacSha256 } from '../adapters/crypto/node-crypto.ts';
import { type LedgerPosition, readTail } from '../adapters/storage/ledger-tail.ts';
import { openStateDocument, type StateDocument, StateDocumentRefused } from '../adapters/storage/state-document.ts';
import { isDigest } from '../domain/digest.ts';
import type { Entry, EntryBody } from '../domain/entry.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import type { Receipt } from '../proxy/ports.ts';
import type { GateFolder } from './home.ts';
import { reasonOf } from './output.ts';

/** At most so often a document is written. A start reads again what was recorded since. */
const KEEP_EVERY_MS = 10_000;

/** What can be told from the entries of a ledger, one after the other. */
export interface Sum {
  entry(entry: Entry): void;
  toJson(): JsonObject;
}

interface SumKind<T extends Sum> {
  /** Of the document, and of the key that seals it. */
  readonly name: string;
  /** One of no entries, or as it was written down. */
  readonly make: (kept: JsonObject | undefined) => T;
}

export interface KeptSum<T extends Sum> {
  readonly sum: T;
  /** Takes in what the ledger has and the sum has not. Nobody writes meanwhile. */
  catchUp(): Promise<void>;
  /** An entry is durable; they come in their order. */
  recorded(body: EntryBody, receipt: Receipt): void;
  /** Writes it down. Never rejects. */
  keep(): Promise<void>;
}

type Kept = { readonly [key: string]: Json };

export interface KeptSumPorts {
  readonly folder: Pick<GateFolder, 'name' | 'folder' | 'ledger'>;
  readonly secret: Uint8Array;
  readonly note: (text: string) => void;
}

export async function openSum<T extends Sum>(
  { folder, secret, note }: KeptSumPorts,
  { name, make }: SumKind<T>,
): Promise<KeptSum<T>> {
  const path = join(folder.folder, `${name}.json`);
  const document = await openDocument(path, name, folder.name, secret, note);
  let at = positionIn(document.value);
  let sum = make(at === undefined ? undefined : (document.value.sum as JsonObject));
  let kept = at;
  let due: NodeJS.Timeout | undefined;
  let isBroken = false;

  const keep = async (): Promise<void> => {
    clearTimeout(due);
    due = undefined;
    if (isBroken || at === undefined || at.seq === kept?.seq) return;
    const position = at;
    try {
      await document.replace({ seq: position.seq, leaf: position.leaf, sum: sum.toJson() });
      kept = position;
    } catch (error) {
      isBroken = true;
      note(`${name}.json could not be written; the next start reads the whole ledger: ${reasonOf(error)}`);
    }
  };
  return {
    get sum() {
      return sum;
    },
    catchUp: async () => {
      let read = await readTail(folder.ledger, at, (entry) => sum.entry(entry));
      if (read === undefined) {
        sum = make(undefined);
        read = await readTail(folder.ledger, undefined, (entry) => sum.entry(entry));
      }
      at = read?.last;
    },
    recorded: (body, { seq, ts, leafHash }) => {
      sum.entry({ v: 1, log: '', prev: null, epoch: 0, mono: 0, ...body, seq, ts });
      at = { seq, leaf: leafHash };
      due ??= setTimeout(() => void keep(), KEEP_EVERY_MS).unref();
    },
    keep,
  };
}

async function openDocument(
  path: string,
  name: string,
  gate: string,
  secret: Uint8Array,
  note: (text: string) => void,
): Promise<StateDocument<Kept>> {
  const key = hmacSha256(secret, new TextEncoder().encode(`portcullis/${name}/v1\n${gate}`));
  const open = () =>
    openStateDocument<Kept>({
      path,
      kind: name,
      initial: {},
      parse: (value) => (isJsonObject(value) && positionIn(value) !== undefined ? value : undefined),
      mac: (bytes) => hmacSha256(key, bytes),
    });
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof StateDocumentRefused)) throw error;
    note(`${reasonOf(error)}; it is put aside, and what it held is told from the ledger again`);
    await rename(path, `${path}.refused`);
    return open();
  }
}

function positionIn({ seq, leaf, sum }: Kept): LedgerPosition | undefined {
  if (typeof seq !== 'number' || typeof leaf !== 'string' || !isDigest(leaf) || !isJsonObject(sum)) return undefined;
  return { seq, leaf };
}
