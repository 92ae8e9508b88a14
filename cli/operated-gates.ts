// The gates that a command of the operator is for: each is reached while it runs, and opened while it does not.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { askControl, NobodyThere } from '../adapters/control/control-socket.ts';
import type { JsonObject } from '../domain/json.ts';
import { visibleText } from '../domain/visible-text.ts';
import type { LedgerGeneration } from '../proxy/ledger-keeper.ts';
import { EXIT } from './exit-codes.ts';
import { findHome, type GateFolder, gateFolder, type Home } from './home.ts';
import { registerKeys } from './key-registry.ts';
import { type GateKeys, openGeneration, openKeys } from './ledger.ts';
import { CommandError, type Output, reasonOf } from './output.ts';

export interface Operation {
  /** What a gate that runs is asked. */
  readonly request: JsonObject;
  /** What is done in its place where none runs. The ledger is this process's meanwhile. */
  readonly atRest: (gate: {
    readonly folder: GateFolder;
    readonly keys: GateKeys;
    readonly ledger: LedgerGeneration;
  }) => Promise<JsonObject>;
  /** One line for people about one gate. */
  readonly told: (answer: JsonObject, running: boolean) => string;
}

/** Does it at every gate of this installation, or at the one named. What fails at one is said, and done at the others. */
export async function operate(name: string | undefined, operation: Operation, out: Output): Promise<number> {
  const home = findHome();
  const names = gatesOf(home, name);
  const keys = openKeys(gateFolder(home, 'any').keys);
  await registerKeys(home, keys);
  const gates: JsonObject[] = [];
  const failed: JsonObject[] = [];
  for (const gate of names) {
    try {
      const { running, answer } = await operateAt(gateFolder(home, gate), keys, operation);
      gates.push({ gate, running, ...answer });
      out.line(`${gate.padEnd(14)}${operation.told(answer, running)}`);
    } catch (error) {
      failed.push({ gate, error: reasonOf(error) });
      out.note(`${gate}: ${visibleText(reasonOf(error), 300)}`);
    }
  }
  out.answer({ gates, failed });
  return failed.length === 0 ? EXIT.ok : EXIT.error;
}

async function operateAt(
  folder: GateFolder,
  keys: GateKeys,
  { request, atRest }: Operation,
): Promise<{ readonly running: boolean; readonly answer: JsonObject }> {
  try {
    const answer = await askControl(folder.folder, request);
    if (answer.error !== undefined) throw new Error(String(answer.error));
    return { running: true, answer };
  } catch (error) {
    if (!(error instanceof NobodyThere)) throw error;
  }
  // Nobody else has the ledger then; where somebody has, that is said and nothing is written.
  const ledger = await openGeneration(folder, keys);
  try {
    return { running: false, answer: await atRest({ folder, keys, ledger }) };
  } finally {
    await ledger.close();
  }
}

function gatesOf(home: Home, name: string | undefined): readonly string[] {
  const folder = join(home.state, 'gates');
  const names = existsSync(folder) ? readdirSync(folder).filter((one) => existsSync(gateFolder(home, one).heads)) : [];
  if (names.length === 0)
    throw new CommandError('no gate has run yet, so nothing was ever allowed', EXIT.usage, [
      'what may be called is said by the rules: portcullis policy check',
    ]);
  if (name === undefined) return names.sort();
  if (names.includes(name)) return [name];
  throw new CommandError(`there is no gate "${visibleText(name, 80)}"`, EXIT.usage, [`gates: ${names.join(', ')}`]);
}
