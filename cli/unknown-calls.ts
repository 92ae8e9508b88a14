// Calls that nobody knows the end of, as they outlive a gate: in `unknown-calls.json` of its folder, before their endings are in the ledger. Each gate
// writes its own document and reads those of the gates beside it (NAME, NAME.2, ...), because the same agent comes back to any of them.
// A missing document is an empty one: whoever can take it away could as well change the rules. One that is not what was written last is refused.

import { existsSync, readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { hmacSha256, sha256 } from '../adapters/crypto/node-crypto.ts';
import { readPayloads } from '../adapters/storage/ledger-reader.ts';
import { openStateDocument, type StateDocument } from '../adapters/storage/state-document.ts';
import { TOOL_METHOD } from '../domain/action.ts';
import { Defect } from '../domain/defect.ts';
import type { Digest } from '../domain/digest.ts';
import type { Entry } from '../domain/entry.ts';
import type { Json } from '../domain/json.ts';
import { UNKNOWN_CALLS_MAX } from '../proxy/limits.ts';
import type { Recorder } from '../proxy/ports.ts';
import { type UnknownCall, UnknownCalls } from '../proxy/unknown-calls.ts';
import type { CallRequested } from '../state-machines/execution-events.ts';
import { baseName, type GateFolder } from './home.ts';
import { vaultSealer } from './ledger.ts';

/** What a person can say of such a call. Whatever it is, the call may be made again then. */
export const SETTLEMENTS = ['ran', 'did-not-run', 'not-known'] as const;
export type Settlement = (typeof SETTLEMENTS)[number];

/** How old what is known of the gates beside may be. */
const LOOK_EVERY_MS = 250;
/** Calls of gates beside of which a person has said something here. */
const SETTLED_MAX = 1_024;

type Kept = {
  readonly calls: readonly UnknownCall[];
  readonly settled: readonly string[];
  /** Roots of calls that recovery ended, and that are not revoked yet. */
  readonly roots: readonly string[];
};

const TEXT = z.string().max(4_096);
const SCHEMA = z.strictObject({
  calls: z
    .array(
      z.strictObject({
        call: TEXT,
        at: z.number().int().nonnegative(),
        agent: TEXT,
        server: TEXT,
        tool: TEXT,
        code: TEXT,
        same: TEXT,
      }),
    )
    .max(UNKNOWN_CALLS_MAX),
  settled: z.array(TEXT).max(SETTLED_MAX),
  roots: z.array(TEXT).default([]),
});

export interface UnknownCallsPorts {
  readonly folder: GateFolder;
  readonly secret: Uint8Array;
  readonly mayRepeat: (server: string, tool: string) => boolean;
  readonly now: () => number;
}

export interface DurableUnknownCalls {
  readonly calls: UnknownCalls;
  /**
   * The ledger is ours, and recovery ends these intents. Resolves once what was kept is in force and these calls are kept too, as far as the vault holds
   * what they were called with. Rejects with `StateDocumentRefused` when the document is not what was written last.
   */
  recovered(intents: readonly Entry[]): Promise<void>;
  /**
   * Has the root of every call that recovery ended revoked: a chain does not go on of which nobody knows how far it came. Resolves when that is done; what
   * a crash comes before is done by the next start.
   */
  revokeRoots(revoke: (root: string) => Promise<unknown>): Promise<void>;
  /** A person has looked at this call. Recorded where the call is this gate's own; rejects, and changes nothing, when it could not be. */
  settle(call: string, as: Settlement, by: string | undefined, recorder: Recorder): Promise<void>;
}

/** Nothing is read yet: see `recovered`. */
export function durableUnknownCalls(ports: UnknownCallsPorts): DurableUnknownCalls {
  const { folder, secret } = ports;
  const key = hmacSha256(secret, new TextEncoder().encode(`portcullis/same-call/v1\n${baseName(folder.name)}`));
  const digest = (text: string): string =>
    Buffer.from(hmacSha256(key, new TextEncoder().encode(text))).toString('base64url');
  let document: StateDocument<Kept> | undefined;
  /** What is to be on disk when everything that was asked for is written. */
  let kept: Kept = { calls: [], settled: [], roots: [] };
  const keep = (change: Partial<Kept>): Promise<void> => {
    if (document === undefined) throw new Defect('a call ended before the ledger was ours');
    kept = { ...kept, ...change };
    return document.replace(kept);
  };
  const calls = new UnknownCalls({
    digest,
    keep: (all) => keep({ calls: [...all] }),
    beside: lookBeside(folder, secret, ports.now),
    isSettled: (call) => kept.settled.includes(call),
    mayRepeat: ports.mayRepeat,
  });
  return {
    calls,
    recovered: async (intents) => {
      if (document === undefined) {
        document = await openDocument(dirname(folder.folder), folder.name, secret);
        kept = document.value;
        calls.resume(kept.calls);
      }
      const roots = intents.flatMap((intent) => rootOf(intent) ?? []);
      if (roots.length > 0) await keep({ roots: [...new Set([...kept.roots, ...roots])] });
      const requests = intents.flatMap((intent) => requestOf(intent) ?? []);
      const commitments = requests.flatMap(({ args }) => args?.commitment ?? []);
      if (commitments.length === 0) return;
      const payloads = await readPayloads(folder.ledger, new Set<Digest>(commitments), vaultSealer(secret), sha256);
      await calls.note(
        requests.flatMap(({ call, at, principal, server, tool, args }) => {
          // Payloads are durable with the intent: without them it was not, and nothing was sent.
          const payload = args === null ? undefined : payloads.get(args.commitment);
          if (payload === undefined || server === null || tool === null) return [];
          const argumentsJson = new TextDecoder().decode(payload.bytes);
          return [{ call, at, agent: principal.agent, server, tool, argumentsJson, code: 'CRASH_INDETERMINATE' }];
        }),
      );
    },
    revokeRoots: async (revoke) => {
      const { roots } = kept;
      for (const root of roots) await revoke(root);
      if (roots.length > 0) await keep({ roots: kept.roots.filter((root) => !roots.includes(root)) });
    },
    settle: async (call, as, by, recorder) => {
      if (calls.all().some((one) => one.call === call)) {
        await recorder.append({ type: 'call.settled', of: call, as, ...(by === undefined ? {} : { by }) }, []);
        await calls.settle(call);
      } else if (!kept.settled.includes(call)) {
        await keep({ settled: [...kept.settled, call].slice(-SETTLED_MAX) });
      }
    },
  };
}

/** What a gate keeps, as others read it: for `doctor`, and for `calls unknown`. */
export async function unknownCallsOf(folder: GateFolder, secret: Uint8Array): Promise<readonly UnknownCall[]> {
  if (!existsSync(join(folder.folder, FILE))) return [];
  return (await openDocument(dirname(folder.folder), folder.name, secret)).value.calls;
}

const FILE = 'unknown-calls.json';

function openDocument(gates: string, name: string, secret: Uint8Array): Promise<StateDocument<Kept>> {
  const key = hmacSha256(secret, new TextEncoder().encode(`portcullis/unknown-calls/v1\n${name}`));
  return openStateDocument<Kept>({
    path: join(gates, name, FILE),
    kind: 'unknown-calls',
    initial: { calls: [], settled: [], roots: [] },
    parse: (value: Json) => SCHEMA.safeParse(value).data,
    mac: (bytes) => hmacSha256(key, bytes),
  });
}

/** Reads what gates of the same name keep, where that has changed. */
function lookBeside({ folder, name }: GateFolder, secret: Uint8Array, now: () => number): () => Promise<UnknownCall[]> {
  const gates = dirname(folder);
  const known = new Map<string, { readonly stamp: string; readonly calls: readonly UnknownCall[] }>();
  let last: { readonly at: number; readonly found: Promise<UnknownCall[]> } | undefined;
  const look = async (): Promise<UnknownCall[]> => {
    const others = readdirSync(gates).filter((other) => other !== name && baseName(other) === baseName(name));
    for (const gone of [...known.keys()].filter((other) => !others.includes(other))) known.delete(gone);
    for (const other of others) {
      const stamp = await stampOf(join(gates, other, FILE));
      if (known.get(other)?.stamp === stamp) continue;
      const calls = stamp === '' ? [] : (await openDocument(gates, other, secret)).value.calls;
      known.set(other, { stamp, calls });
    }
    return [...known.values()].flatMap(({ calls }) => calls);
  };
  return () => {
    const at = now();
    if (last === undefined || !(at - last.at < LOOK_EVERY_MS)) {
      const found = look();
      last = { at, found };
      // What failed is looked at again by the next one.
      found.catch(() => {
        if (last?.found === found) last = undefined;
      });
    }
    return last.found;
  };
}

/** Changes whenever the document is written; empty where there is none. */
async function stampOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join();
  } catch {
    return '';
  }
}

/** The chain that it stood in. */
function rootOf({ events }: Entry): string | undefined {
  const [first] = Array.isArray(events) ? (events as unknown as readonly CallRequested[]) : [];
  return first?.type === 'call.requested' ? first.lineage.root : undefined;
}

/** What was asked for, where that is a call of a tool. The entry is one of ours: recovery has replayed it. */
function requestOf({ events }: Entry): CallRequested | undefined {
  const [first] = Array.isArray(events) ? (events as unknown as readonly CallRequested[]) : [];
  return first?.type === 'call.requested' && first.method === TOOL_METHOD ? first : undefined;
}
