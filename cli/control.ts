// What the operator can have a running gate do: take what was ordered, and say how it is. Bad requests are answered, never thrown.

import { type ControlSocket, serveControl } from '../adapters/control/control-socket.ts';
import type { JsonObject } from '../domain/json.ts';
import type { OrderTaker } from './orders.ts';
import { reasonOf } from './output.ts';

/** Undefined where no socket can be had: the gate sees by itself what was ordered, and cannot say what came of it. */
export async function openControl(
  folder: string,
  take: OrderTaker['take'],
  health: () => JsonObject,
  note: (text: string) => void,
): Promise<ControlSocket | undefined> {
  try {
    return await serveControl(folder, ({ op }) =>
      answer(op === 'take-orders' ? take : op === 'health' ? async () => health() : undefined),
    );
  } catch (error) {
    note(`portcullis revoke and halt cannot say what came of them at this gate: ${reasonOf(error)}`);
    return undefined;
  }
}

async function answer(does: (() => Promise<object>) | undefined): Promise<JsonObject> {
  if (does === undefined) return { error: 'this gate does not know that request' };
  try {
    return { ...(await does()) };
  } catch (error) {
    return { error: reasonOf(error) };
  }
}
