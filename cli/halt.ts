// That a gate was halted outlives it: in `halt.json`, in force before it is recorded. It is lifted only after that is recorded. A missing document
// halts nothing: whoever can take it away could as well change the rules.

import { join } from 'node:path';
import { z } from 'zod';
import { hmacSha256 } from '../adapters/crypto/node-crypto.ts';
import { openStateDocument } from '../adapters/storage/state-document.ts';
import type { Json } from '../domain/json.ts';
import type { Governance } from '../proxy/governance.ts';
import type { Clock, Recorder } from '../proxy/ports.ts';
import type { GateFolder } from './home.ts';
import { reasonOf } from './output.ts';

const REASON_CHARACTERS_MAX = 200;

type Halted = { readonly at: number; readonly reason: string } | null;

const SCHEMA = z
  .strictObject({ at: z.number().int().nonnegative(), reason: z.string().max(REASON_CHARACTERS_MAX) })
  .nullable();

export interface DurableHalt {
  /** Resolves once nothing new is allowed and that outlives the gate. */
  halt(reason: string, by?: string): Promise<void>;
  /** Resolves once it is recorded that calls are allowed again, as far as everything else is well. Rejects when it could not be. */
  resume(by?: string): Promise<void>;
}

export interface HaltPorts {
  readonly folder: Pick<GateFolder, 'name' | 'folder'>;
  readonly secret: Uint8Array;
  readonly governance: Governance;
  readonly recorder: Recorder;
  readonly clock: Pick<Clock, 'now'>;
  readonly note: (text: string) => void;
}

/** Brings a halt of an earlier run into force. Rejects with `StateDocumentRefused` when the document is not what was written last. */
export async function openHalt(ports: HaltPorts): Promise<DurableHalt> {
  const { folder, governance, recorder, clock, note } = ports;
  const key = hmacSha256(ports.secret, new TextEncoder().encode(`portcullis/halt/v1\n${folder.name}`));
  const document = await openStateDocument<Halted>({
    path: join(folder.folder, 'halt.json'),
    kind: 'halt',
    initial: null,
    parse: (value: Json) => SCHEMA.safeParse(value).data,
    mac: (bytes) => hmacSha256(key, bytes),
  });
  const shut = ({ reason }: { readonly reason: string }): void => governance.shut('halt', 'GOV_HALTED', reason);
  if (document.value !== null) {
    shut(document.value);
    note(`halted by its operator: ${document.value.reason}; portcullis resume lifts that`);
  }
  const halt = async (reason: string, by: string | undefined): Promise<void> => {
    await document.replace({ at: clock.now(), reason });
    await recorder
      .append({ type: 'gate.halted', reason, ...operator(by) }, [])
      .catch((error: unknown) => note(`the halt is in force, but could not be recorded: ${reasonOf(error)}`));
  };
  /** How often it was halted: a halt that comes while an earlier one is being lifted stands. */
  let halts = 0;
  const resume = async (halted: number, by: string | undefined): Promise<void> => {
    if (document.value === null || halted !== halts) return;
    await recorder.append({ type: 'gate.resumed', ...operator(by) }, []);
    await document.replace(null);
    if (halted === halts) governance.open('halt');
  };
  // One after the other, in the order in which they were asked for.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (change: () => Promise<void>): Promise<void> => {
    const done = last.then(change);
    last = done.catch(() => undefined);
    return done;
  };
  return {
    halt: (said, by) => {
      const reason = said.slice(0, REASON_CHARACTERS_MAX);
      halts += 1;
      // First of all nothing new.
      shut({ reason });
      return inTurn(() => halt(reason, by));
    },
    resume: (by) => {
      const halted = halts;
      return inTurn(() => resume(halted, by));
    },
  };
}

/** Whoever can read the keys has no name here. */
function operator(by: string | undefined): { readonly by?: string } {
  return by === undefined ? {} : { by };
}
