// What the operator of this installation has its gates do. It is ordered first, for gates that start later too; those that run are asked to take it at once,
// so that they can say what came of it.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { askControl } from '../adapters/control/control-socket.ts';
import { NobodyThere } from '../adapters/control/socket-address.ts';
import type { JsonObject } from '../domain/json.ts';
import { visibleText } from '../domain/visible-text.ts';
import { EXIT } from './exit-codes.ts';
import { baseName, findHome, gateFolder, type Home } from './home.ts';
import { registerKeys } from './key-registry.ts';
import { openKeys } from './ledger.ts';
import { giveOrder } from './orders.ts';
import { CommandError, type Output, reasonOf } from './output.ts';
import type { Order, OrderTerms } from './standing-orders.ts';

export interface Ordered {
  /** Its number among everything that was ordered here. */
  readonly order: number;
  /** `stopped`: running calls; undefined where the gate does not run. */
  readonly gates: readonly { readonly gate: string; readonly stopped: number | undefined }[];
  /** Where it could not be done, or nobody knows. */
  readonly failed: readonly { readonly gate: string; readonly error: string }[];
}

/** Orders it of every gate of this installation, or of those of one name. Throws a CommandError, and orders nothing, where there is none. */
export async function orderGates(home: Home, secret: Uint8Array, order: Order, terms: OrderTerms): Promise<Ordered> {
  const names = gatesOf(home, terms.gate);
  const number = await giveOrder(home, secret, order, terms);
  const gates: { gate: string; stopped: number | undefined }[] = [];
  const failed: { gate: string; error: string }[] = [];
  // All at once: one that is slow to stop must not hold up the others.
  await Promise.all(
    names.map(async (gate) => {
      try {
        gates.push({ gate, stopped: await stoppedAt(gateFolder(home, gate).folder) });
      } catch (error) {
        failed.push({ gate, error: reasonOf(error) });
      }
    }),
  );
  const sorted = <T extends { gate: string }>(some: T[]): T[] => some.sort((a, b) => (a.gate < b.gate ? -1 : 1));
  return { order: number, gates: sorted(gates), failed: sorted(failed) };
}

/** The same as JSON. */
export function orderedJson({ order, gates, failed }: Ordered): JsonObject {
  const gate = (one: Ordered['gates'][number]): JsonObject =>
    one.stopped === undefined
      ? { gate: one.gate, running: false }
      : { gate: one.gate, running: true, stopped: one.stopped };
  return { order, gates: gates.map(gate), failed: failed.map((one) => ({ ...one })) };
}

/** For a command: what came of it, gate by gate. `done` says it of one that runs. */
export async function operate(
  name: string | undefined,
  order: Order,
  done: (stopped: number) => string,
  out: Output,
): Promise<number> {
  const home = findHome();
  const keys = openKeys(gateFolder(home, 'any').keys);
  await registerKeys(home, keys);
  const ordered = await orderGates(home, keys.vault, order, name === undefined ? {} : { gate: name });
  for (const { gate, stopped } of ordered.gates)
    out.line(
      `${gate.padEnd(14)}${stopped === undefined ? 'not running: holds from its next start on' : done(stopped)}`,
    );
  for (const { gate, error } of ordered.failed) out.note(`${gate}: ${visibleText(error, 300)}`);
  out.answer(orderedJson(ordered));
  return ordered.failed.length === 0 ? EXIT.ok : EXIT.error;
}

/** Has every gate that runs take what was ordered or approved; one that cannot be told sees it by itself. */
export async function tellGates(home: Home, note: (text: string) => void): Promise<void> {
  await Promise.all(
    gateNames(home).map(async (gate) => {
      try {
        await stoppedAt(gateFolder(home, gate).folder);
      } catch (error) {
        note(`${gate}: ${visibleText(reasonOf(error), 300)}`);
      }
    }),
  );
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

function gateNames(home: Home): readonly string[] {
  const folder = join(home.state, 'gates');
  return existsSync(folder) ? readdirSync(folder).filter((one) => existsSync(gateFolder(home, one).heads)) : [];
}

function gatesOf(home: Home, name: string | undefined): readonly string[] {
  const names = [...gateNames(home)];
  if (names.length === 0)
    throw new CommandError('no gate has run yet, so nothing was ever allowed', EXIT.usage, [
      'what may be called is said by the rules: portcullis policy check',
    ]);
  if (name === undefined) return names.sort();
  const meant = names.filter((one) => one === name || baseName(one) === name);
  if (meant.length > 0) return meant.sort();
  throw new CommandError(`there is no gate "${visibleText(name, 80)}"`, EXIT.usage, [`gates: ${names.join(', ')}`]);
}
