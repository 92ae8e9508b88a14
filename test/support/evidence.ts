// What a ledger says about its calls, with the arguments they were made with, read from the folder as it lies on disk: while a gate writes
// it, after a gate was killed, after the next one has recovered it.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../adapters/crypto/node-crypto.ts';
import { openSecret } from '../../adapters/storage/key-file.ts';
import { readEntries, readPayloads } from '../../adapters/storage/ledger-reader.ts';
import { vaultSealer } from '../../cli/ledger.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Entry } from '../../domain/entry.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import type { Installation } from './cli.ts';

export interface CallEvidence {
  readonly call: string;
  readonly intent: Entry | undefined;
  /** Endings and denials: what ends a call. */
  readonly endings: readonly Entry[];
  readonly agent: string;
  readonly tool: string | null;
  /** As the tool would have heard them; undefined when the vault does not hold them. */
  readonly args: Json | undefined;
  /** The code under which the client was denied, if it was. */
  readonly code: string | undefined;
  /** The status of an ending that follows an intent. */
  readonly status: string | undefined;
}

export async function entriesOf(dir: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  if (!existsSync(join(dir, 'seg'))) return entries;
  for await (const entry of readEntries(dir)) entries.push(entry);
  return entries;
}

/** Every call of a gate's ledger in the order of their first entries. */
export async function callsOf(
  at: Pick<Installation, 'home' | 'ledger'>,
  gate: string,
): Promise<readonly CallEvidence[]> {
  const entries = await entriesOf(at.ledger(gate));
  const byCall = new Map<string, Entry[]>();
  for (const entry of entries) {
    if (typeof entry.call !== 'string') continue;
    byCall.set(entry.call, [...(byCall.get(entry.call) ?? []), entry]);
  }
  const commitments = new Set([...byCall.values()].flatMap(([first]) => argumentsOf(first) ?? []));
  const secret = openSecret(join(at.home, 'state', 'keys'), 'vault');
  if ('fault' in secret) throw new Error(secret.fault);
  const payloads =
    commitments.size === 0
      ? new Map()
      : await readPayloads(at.ledger(gate), commitments, vaultSealer(secret.secret), sha256);
  return [...byCall].map(([call, [first, ...rest]]) => {
    const requested = requestedOf(first);
    const commitment = argumentsOf(first);
    const bytes = commitment === undefined ? undefined : payloads.get(commitment)?.bytes;
    const all = first === undefined ? rest : [first, ...rest];
    const endings = all.filter(({ type }) => type === 'call.ending' || type === 'call.denial');
    const outcome = endings[0]?.outcome as JsonObject | undefined;
    return {
      call,
      intent: all.find(({ type }) => type === 'call.intent'),
      endings,
      agent: String((requested?.principal as JsonObject | undefined)?.agent),
      tool: (requested?.tool ?? null) as string | null,
      args: bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString()) as Json),
      code: (endings[0]?.code ?? outcome?.code) as string | undefined,
      status: outcome?.status as string | undefined,
    };
  });
}

function requestedOf(entry: Entry | undefined): JsonObject | undefined {
  return (entry?.events as readonly JsonObject[] | undefined)?.[0];
}

function argumentsOf(entry: Entry | undefined): Digest | undefined {
  return (requestedOf(entry)?.args as { commitment: Digest } | null | undefined)?.commitment;
}

/** The lines of a file that a tool writes when it is called: what really happened. */
export function heardIn(file: string): JsonObject[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as JsonObject);
}
