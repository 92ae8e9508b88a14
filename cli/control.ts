// What the operator can have a running gate do. Bad requests are answered, never thrown.

import { type ControlSocket, serveControl } from '../adapters/control/control-socket.ts';
import { REVOCATION_KINDS, type RevocationKind } from '../control-plane/permits/revocations.ts';
import type { JsonObject } from '../domain/json.ts';
import type { RunningGate } from './gate.ts';
import { reasonOf } from './output.ts';

export type Operable = Pick<RunningGate, 'revoke' | 'haltFor' | 'resume'>;

/** Undefined where no socket can be had: the gate works, and is stopped by ending it. */
export async function openControl(
  folder: string,
  gate: Operable,
  note: (text: string) => void,
): Promise<ControlSocket | undefined> {
  try {
    return await serveControl(folder, (request) => answer(gate, request));
  } catch (error) {
    note(`portcullis revoke and halt will not reach this gate while it runs: ${reasonOf(error)}`);
    return undefined;
  }
}

async function answer(gate: Operable, request: JsonObject): Promise<JsonObject> {
  try {
    return await perform(gate, request);
  } catch (error) {
    return { error: reasonOf(error) };
  }
}

async function perform(gate: Operable, { op, kind, id, reason }: JsonObject): Promise<JsonObject> {
  switch (op) {
    case 'revoke':
      if (!REVOCATION_KINDS.includes(kind as RevocationKind) || typeof id !== 'string')
        return { error: 'not a revocation' };
      return { ...(await gate.revoke(kind as RevocationKind, id)) };
    case 'halt':
      return typeof reason === 'string' ? { stopped: await gate.haltFor(reason) } : { error: 'no reason' };
    case 'resume':
      await gate.resume();
      return {};
    default:
      return { error: 'this gate does not know that request' };
  }
}
