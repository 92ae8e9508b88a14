// How every gate of this installation is: those that run are asked, of the others it is read from what they left. Nothing is changed by it.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { askControl } from '../adapters/control/control-socket.ts';
import { NobodyThere } from '../adapters/control/socket-address.ts';
import { newestEntryOf } from '../adapters/storage/ledger-reader.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { visibleText } from '../domain/visible-text.ts';
import { opensWhen } from './gate-health.ts';
import { type GateFolder, gateFolder, type Home } from './home.ts';
import { openKeys } from './ledger.ts';
import { reasonOf } from './output.ts';
import { unknownCallsOf } from './unknown-calls.ts';

export interface GateState {
  readonly gate: string;
  readonly running: boolean;
  /** Why nothing is known of it. */
  readonly problem?: string;
  /** What shuts it; of one that does not run, what will shut it when it starts. */
  readonly shut: readonly {
    readonly code: string;
    readonly detail: string;
    readonly since: string;
    readonly opens: string;
  }[];
  readonly waiting: {
    readonly calls: number;
    readonly aside: readonly {
      readonly kind: string;
      readonly id: string;
      readonly code: string;
      readonly lifted: string;
    }[];
  };
}

/** A command that is to be pasted is whole. */
const COMMAND_CHARACTERS_MAX = 700;
const NOTHING_WAITS: GateState['waiting'] = { calls: 0, aside: [] };

/** In the order of their names. Never rejects. */
export function gateStates(home: Home): Promise<readonly GateState[]> {
  const folder = join(home.state, 'gates');
  const names = existsSync(folder)
    ? readdirSync(folder).filter((name) => existsSync(gateFolder(home, name).heads))
    : [];
  return Promise.all(names.sort().map((name) => stateOf(gateFolder(home, name))));
}

async function stateOf(folder: GateFolder): Promise<GateState> {
  const gate = folder.name;
  try {
    const answer = await askControl(folder.folder, { op: 'health' });
    if (answer.error !== undefined) throw new Error(String(answer.error));
    const calls = Number(answer.unknownCallsInAll);
    const aside = listed(answer.quarantined).map((one) => ({
      kind: text(one.kind),
      id: text(one.id),
      code: text(one.code),
      lifted: text(one.lifted, COMMAND_CHARACTERS_MAX),
    }));
    const shut = listed(answer.shut).map((one) => ({
      code: text(one.code),
      detail: text(one.detail),
      since: text(one.since),
      opens: text(one.opens),
    }));
    return { gate, running: true, shut, waiting: { calls, aside } };
  } catch (error) {
    if (!(error instanceof NobodyThere))
      return { gate, running: true, problem: `does not answer: ${reasonOf(error)}`, shut: [], waiting: NOTHING_WAITS };
  }
  try {
    const calls = (await unknownCallsOf(folder, openKeys(folder.keys).vault)).length;
    const halted = await newestEntryOf(folder.ledger, ['gate.halted', 'gate.resumed']);
    const shut =
      halted?.type === 'gate.halted'
        ? [{ code: 'GOV_HALTED', detail: text(halted.reason), since: halted.ts, opens: opensWhen('halt', 'held') }]
        : [];
    return { gate, running: false, shut, waiting: { calls, aside: [] } };
  } catch (error) {
    return { gate, running: false, problem: reasonOf(error), shut: [], waiting: NOTHING_WAITS };
  }
}

const listed = (value: Json | undefined): readonly JsonObject[] =>
  Array.isArray(value) ? value.filter((one): one is JsonObject => isJsonObject(one)) : [];
const text = (value: Json | undefined, charactersMax = 200): string =>
  visibleText(typeof value === 'string' ? value : '', charactersMax);
