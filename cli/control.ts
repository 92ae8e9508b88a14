// What the operator can have a running gate do. Bad requests are answered, never thrown.

import { type ControlSocket, serveControl } from '../adapters/control/control-socket.ts';
import { REVOCATION_KINDS, type RevocationKind } from '../control-plane/permits/revocations.ts';
import type { JsonObject } from '../domain/json.ts';
import type { RunningGate } from './gate.ts';
import { reasonOf } from './output.ts';

/** Undefined where no socket can be had: the gate works, and is stopped by ending it. */
export async function openControl(
  folder: string,
  gate: Pick<RunningGate, 'revoke'>,
  note: (text: string) => void,
): Promise<ControlSocket | undefined> {
  try {
    return await serveControl(folder, (request) => answer(gate, request));
  } catch (error) {
    note(`portcullis revoke will not reach this gate while it runs: ${reasonOf(error)}`);
    return undefined;
  }
}

async function answer(gate: Pick<RunningGate, 'revoke'>, { op, kind, id }: JsonObject): Promise<JsonObject> {
  if (op !== 'revoke') return { error: 'this gate does not know that request' };
  if (!REVOCATION_KINDS.includes(kind as RevocationKind) || typeof id !== 'string')
    return { error: 'not a revocation' };
  try {
    return { ...(await gate.revoke(kind as RevocationKind, id)) };
  } catch (error) {
    return { error: reasonOf(error) };
  }
}
