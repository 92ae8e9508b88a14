// What the operator of this installation has its gates do. It is ordered first, for gates that start later too; those that run are asked to take it at once,
// so that they can say what came of it.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { askControl, NobodyThere } from '../adapters/control/control-socket.ts';
import type { JsonObject } from '../domain/json.ts';
import { visibleText } from '../domain/visible-text.ts';
import { EXIT } from './exit-codes.ts';
import { baseName, findHome, gateFolder, type Home } from './home.ts';
import { registerKeys } from './key-registry.ts';
import { openKeys } from './ledger.ts';
import { giveOrder, type Order } from './orders.ts';
import { CommandError, type Output, reasonOf } from './output.ts';

/** Orders it of every gate of this installation, or of those of one name. What fails at one is said, and done at the others. */
export async function operate(
  name: string | undefined,
  order: Order,
  done: (stopped: number) => string,
  out: Output,
): Promise<number> {
  const home = findHome();
  const names = gatesOf(home, name);
  const keys = openKeys(gateFolder(home, 'any').keys);
  await registerKeys(home, keys);
  const number = await giveOrder(home, keys.vault, order, name);
  const gates: JsonObject[] = [];
  const failed: JsonObject[] = [];
  for (const gate of names) {
    try {
      const stopped = await stoppedAt(gateFolder(home, gate).folder);
      gates.push(stopped === undefined ? { gate, running: false } : { gate, running: true, stopped });
      out.line(
        `${gate.padEnd(14)}${stopped === undefined ? 'not running: holds from its next start on' : done(stopped)}`,
      );
    } catch (error) {
      failed.push({ gate, error: reasonOf(error) });
      out.note(`${gate}: ${visibleText(reasonOf(error), 300)}`);
    }
  }
  out.answer({ order: number, gates, failed });
  return failed.length === 0 ? EXIT.ok : EXIT.error;
}

/** Undefined where no gate runs. One that is just starting takes the order before it serves anybody. */
async function stoppedAt(folder: string): Promise<number | undefined> {
  try {
    const { error, stopped } = await askControl(folder, { op: 'take-orders' });
    if (error !== undefined) throw new Error(String(error));
    return Number(stopped);
  } catch (error) {
    if (error instanceof NobodyThere) return undefined;
    throw error;
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
  const meant = names.filter((one) => one === name || baseName(one) === name);
  if (meant.length > 0) return meant.sort();
  throw new CommandError(`there is no gate "${visibleText(name, 80)}"`, EXIT.usage, [`gates: ${names.join(', ')}`]);
}
