// What the operator of this installation ordered, for every gate of it, also for those that do not run, or do not exist yet: in `orders.json`, sealed, in the
// order in which it was said. Each gate takes what it has not taken yet, when it starts and as soon as there is more. Nothing is ordered twice: a
// gate that took an order has it in documents of its own.

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hmacSha256 } from '../adapters/crypto/node-crypto.ts';
import { openStateDocument, type StateDocument } from '../adapters/storage/state-document.ts';
import { baseName, type GateFolder, type Home } from './home.ts';
import type { RunningGate } from './running-gate.ts';
import { type Order, type OrderTerms, readOrders, type StandingOrder, standsBeside } from './standing-orders.ts';
import { lockedDuring } from './state-lock.ts';
import { systemClock } from './system-clock.ts';

/** How soon a gate that nobody could tell sees that there is more. */
const LOOK_EVERY_MS = 500;

const fileOf = (home: Home): string => join(home.state, 'orders.json');

/** Rejects with `StateDocumentRefused` when what lies there is not what was ordered. */
function openOrders(home: Home, secret: Uint8Array, revisionMin = 0): Promise<StateDocument<StandingOrder[]>> {
  const key = hmacSha256(secret, new TextEncoder().encode('portcullis/orders/v1'));
  return openStateDocument<StandingOrder[]>({
    path: fileOf(home),
    kind: 'orders',
    initial: [],
    parse: readOrders,
    mac: (bytes) => hmacSha256(key, bytes),
    revisionMin,
  });
}

/** Resolves with its number once it is durable. No gate has heard of it then. */
export function giveOrder(home: Home, secret: Uint8Array, order: Order, terms: OrderTerms = {}): Promise<number> {
  return lockedDuring(fileOf(home), async () => {
    const document = await openOrders(home, secret);
    const number = document.revision + 1;
    const standing: StandingOrder = { ...order, number, at: systemClock.now(), ...terms };
    const stay = document.value.filter((one) => standsBeside(one, order, terms));
    await document.replace([...stay, standing]);
    return number;
  });
}

/** What was ordered and still counts, oldest first. */
export async function standingOrders(home: Home, secret: Uint8Array): Promise<readonly StandingOrder[]> {
  return (await openOrders(home, secret)).value;
}

/** What an order did at a gate. */
export interface Taken {
  /** The newest order that the gate has taken. */
  readonly order: number;
  /** Calls that were stopped. */
  readonly stopped: number;
}

export interface OrderTaker {
  /** Takes everything that was ordered since. Rejects when some of it could not be done; the gate is shut then, or it is tried again. */
  take(): Promise<Taken>;
  close(): void;
}

export interface OrderTakerPorts {
  readonly home: Home;
  readonly folder: Pick<GateFolder, 'name' | 'folder'>;
  readonly secret: Uint8Array;
  readonly gate: Pick<RunningGate, 'revoke' | 'haltFor' | 'resume' | 'settle'> & {
    readonly quarantines: Pick<RunningGate['quarantines'], 'setAside' | 'lift'>;
  };
  /** Nobody knows any more what was ordered. */
  readonly onUnknown: (error: unknown) => void;
}

/** From here on whatever is ordered is taken. What was ordered before is taken when that is asked for: then rejects when that is not known. */
export async function orderTaker(ports: OrderTakerPorts): Promise<OrderTaker> {
  const { home, folder, secret, gate } = ports;
  const key = hmacSha256(secret, new TextEncoder().encode(`portcullis/orders-taken/v1\n${folder.name}`));
  const known = await openStateDocument<number>({
    path: join(folder.folder, 'orders-taken.json'),
    kind: 'orders-taken',
    initial: 0,
    parse: (value) => (typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined),
    mac: (bytes) => hmacSha256(key, bytes),
  });
  const names = new Set([folder.name, baseName(folder.name)]);
  const isOurs = ({ gate: name }: StandingOrder): boolean => name === undefined || names.has(name);

  let seen = await stampOf(home);
  /** What the newest order did is told to whoever asks for it, also when it was seen before he asked. */
  let newest: Taken = { order: known.value, stopped: 0 };
  const take = async (): Promise<Taken> => {
    // Before it is read: what is written meanwhile is seen as a change.
    seen = await stampOf(home);
    const document = await openOrders(home, secret, known.value).catch((error: unknown) => {
      ports.onUnknown(error);
      throw error;
    });
    const order = document.revision;
    if (order === known.value) return newest;
    const orders = document.value.filter((one) => one.number > known.value && isOurs(one));
    const last = orders.findLast(({ what }) => what === 'halt' || what === 'resume');
    let stopped = 0;
    // First of all nothing new; lifted only when all the rest is in force.
    if (last?.what === 'halt') stopped += await gate.haltFor(last.reason, last.by);
    for (const one of orders) {
      if (one.what === 'revoke') stopped += (await gate.revoke(one.kind, one.id, one.by)).stopped;
      if (one.what === 'set-aside') stopped += await gate.quarantines.setAside(one.kind, one.id, one.reason);
      if (one.what === 'lift') await gate.quarantines.lift(one.kind, one.id, one.by);
      if (one.what === 'settle') await gate.settle(one.call, one.as, one.by);
    }
    if (last?.what === 'resume') await gate.resume(last.by);
    await known.replace(order);
    newest = { order, stopped };
    return newest;
  };
  let before: Promise<unknown> = Promise.resolve();
  const inTurn = (): Promise<Taken> => {
    const taken = before.then(take);
    before = taken.catch(() => undefined);
    return taken;
  };

  const watch = setInterval(async () => {
    if ((await stampOf(home)) !== seen) await inTurn().catch(() => undefined);
  }, LOOK_EVERY_MS).unref();
  return { take: inTurn, close: () => clearInterval(watch) };
}

/** Changes whenever the document is written. */
async function stampOf(home: Home): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(fileOf(home), { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join();
  } catch {
    return '';
  }
}
