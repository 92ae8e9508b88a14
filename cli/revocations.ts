// The revocations of a gate as they outlive it: in `revocations.json` before they are in force, and in the ledger as soon as they are.
// The document is the truth; what the ledger knows of shows that one was taken away or brought back old. Stopping what runs is not done here.

import { join } from 'node:path';
import { z } from 'zod';
import { hmacSha256 } from '../adapters/crypto/node-crypto.ts';
import { newestEntryOf } from '../adapters/storage/ledger-reader.ts';
import { openStateDocument, StateDocumentRefused } from '../adapters/storage/state-document.ts';
import {
  REVOCATION_KINDS,
  type Revocation,
  type RevocationKind,
  type Revocations,
} from '../control-plane/permits/revocations.ts';
import { Defect } from '../domain/defect.ts';
import type { Entry } from '../domain/entry.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { readPermitText } from '../domain/permit-text.ts';
import { LedgerRefused } from '../ledger/open.ts';
import type { Governance } from '../proxy/governance.ts';
import type { Clock, Recorder } from '../proxy/ports.ts';
import type { GateFolder } from './home.ts';
import { reasonOf } from './output.ts';

/** Longer than any id there is; the longest is a server's and a tool's name. */
const ID_CHARACTERS_MAX = 1_024;

type Row = {
  readonly number: number;
  readonly kind: RevocationKind;
  readonly id: string;
  readonly at: number;
  readonly by?: string;
};

const ROW = z.strictObject({
  number: z.number().int().positive(),
  kind: z.enum(REVOCATION_KINDS),
  id: z.string().min(1).max(ID_CHARACTERS_MAX),
  at: z.number().int().nonnegative(),
  by: z.string().min(1).max(80).optional(),
});
const SCHEMA = z.array(ROW).refine((rows) => rows.every(({ number }, index) => number === index + 1));

export interface RevocationMoment {
  /** The operator whose order it is. */
  readonly by?: string | undefined;
  /** Called in the tick in which it is in force: what runs need not wait for the ledger to be stopped. */
  readonly inForce?: () => void;
}

export interface DurableRevocations {
  /**
   * Resolves once the revocation is durable, in force, and offered to the ledger. An id that cannot be one is refused. If it rejects for
   * another reason the gate is shut, because nobody knows whether the revocation outlives this run.
   */
  add(kind: RevocationKind, id: string, moment?: RevocationMoment): Promise<Revocation>;
}

export interface RevocationPorts {
  readonly folder: Pick<GateFolder, 'name' | 'folder' | 'ledger'>;
  readonly secret: Uint8Array;
  readonly revocations: Revocations;
  readonly governance: Governance;
  readonly recorder: Recorder;
  readonly clock: Pick<Clock, 'now'>;
  readonly note: (text: string) => void;
}

/**
 * Brings every revocation of the runs before into force and opens the gate as far as they are concerned. Rejects with
 * `StateDocumentRefused` when the document is not what was written last, with `LedgerRefused` when the ledger does not say. Call it when the
 * ledger is ours: it is read.
 */
export async function openRevocations(ports: RevocationPorts): Promise<DurableRevocations> {
  const { folder, revocations, governance, recorder, note } = ports;
  // The name is in the key, so that the document of one gate is none in another.
  const key = hmacSha256(ports.secret, new TextEncoder().encode(`portcullis/revocations/v1\n${folder.name}`));
  const path = join(folder.folder, 'revocations.json');
  let recorded = await newestKnownTo(folder.ledger);
  const document = await openStateDocument<Row[]>({
    path,
    kind: 'revocations',
    initial: [],
    parse: (value: Json) => SCHEMA.safeParse(value).data as Row[] | undefined,
    mac: (bytes) => hmacSha256(key, bytes),
    // Each revocation is one write.
    revisionMin: recorded,
  });
  if (document.value.length !== document.revision)
    throw new StateDocumentRefused(`${path} does not hold what it should`);

  const enforce = (revocation: Revocation): void => {
    const refused = revocations.apply(revocation);
    if (refused !== undefined) throw new Defect(`${refused.code}: ${refused.detail ?? ''}`);
    governance.noteRevocation(revocation.number);
  };
  /** Those that the ledger does not know, oldest first. What fails here is tried again with the next one and at the next start. */
  const record = async (): Promise<void> => {
    for (const { number, kind, id, by } of document.value.slice(recorded)) {
      try {
        await recorder.append({ type: 'revocation.added', number, kind, id, ...(by === undefined ? {} : { by }) }, []);
        recorded = number;
      } catch (error) {
        return note(`revocation ${number} is in force, but could not be recorded yet: ${reasonOf(error)}`);
      }
    }
  };

  for (const revocation of document.value) enforce(revocation);
  await record();
  governance.open('revocations');

  let last: Promise<unknown> = Promise.resolve();
  const add = async (kind: RevocationKind, id: string, { by, inForce }: RevocationMoment): Promise<Revocation> => {
    const at = ports.clock.now();
    const row = ROW.parse({ number: document.revision + 1, kind, id, at, ...(by === undefined ? {} : { by }) }) as Row;
    try {
      await document.replace([...document.value, row]);
      // A crash here leaves a revocation that is in force from the next start on.
      enforce(row);
      inForce?.();
    } catch (error) {
      governance.shut('revocations', 'GOV_REVOCATION_STALE', `revocation ${row.number}: ${reasonOf(error)}`);
      throw error;
    }
    await record();
    return row;
  };
  return {
    add: (kind, id, moment = {}) => {
      // One after the other, so that numbers in the ledger only grow.
      const added = last.then(() => add(kind, id, moment));
      last = added.catch(() => undefined);
      return added;
    },
  };
}

/**
 * The newest revocation that the ledger speaks of: as an entry of its own, or as the number under which a permit was minted. Both only grow
 * from entry to entry, so the last one says it.
 */
async function newestKnownTo(ledger: string): Promise<number> {
  const entry = await newestEntryOf(ledger, ['revocation.added', 'call.intent']);
  const number = entry?.type === 'revocation.added' ? entry.number : entry === undefined ? 0 : permittedUnder(entry);
  if (typeof number !== 'number' || !Number.isSafeInteger(number))
    throw new LedgerRefused(`entry ${entry?.seq} does not say which revocations were in force`);
  return number;
}

function permittedUnder(intent: Entry): number | undefined {
  const events = Array.isArray(intent.events) ? (intent.events as readonly JsonObject[]) : [];
  const permit = events.find(({ type }) => type === 'decision.allowed')?.permit;
  return typeof permit === 'string' ? readPermitText(permit).payload().claims?.gov.rev : undefined;
}
