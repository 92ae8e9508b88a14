// Authority taken away from a gate that runs: in force first, then what runs is stopped, and recorded. All of it outlives the gate.

import type { RevocationKind, Revocations } from '../control-plane/permits/revocations.ts';
import type { Enforcement } from '../proxy/enforcement.ts';
import type { Governance } from '../proxy/governance.ts';
import type { Clock, Recorder } from '../proxy/ports.ts';
import { openHalt } from './halt.ts';
import type { GateFolder } from './home.ts';
import { openRevocations } from './revocations.ts';

/** `by`: the operator whose order it is, where he has a name. */
export interface Withdrawals {
  /** Resolves once the revocation outlives the gate and everything that it means has stopped. Rejects when that is not known. */
  revoke(kind: RevocationKind, id: string, by?: string): Promise<{ readonly number: number; readonly stopped: number }>;
  /** Lets nothing pass until `resume`, in later runs too, and stops what runs. Resolves with how much that was. */
  haltFor(reason: string, by?: string): Promise<number>;
  /** Lifts that. Rejects, and lifts nothing, when it cannot be recorded. */
  resume(by?: string): Promise<void>;
}

export interface WithdrawalPorts {
  readonly folder: GateFolder;
  readonly secret: Uint8Array;
  readonly enforcement: Enforcement;
  readonly governance: Governance;
  readonly revocations: Revocations;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly note: (text: string) => void;
}

/** Brings into force what was taken away in earlier runs. Rejects when that is not known, as `openRevocations` and `openHalt` do. */
export async function openWithdrawals(ports: WithdrawalPorts): Promise<Withdrawals> {
  const { enforcement, governance } = ports;
  const revocations = await openRevocations(ports);
  const halt = await openHalt(ports);
  return {
    haltFor: async (reason, by) => {
      const halted = halt.halt(reason, by);
      const stopping = enforcement.stopAll({ type: 'authority.withdrawn', code: 'GOV_HALTED' });
      const [stopped] = await Promise.all([stopping, halted]);
      return stopped;
    },
    resume: (by) => halt.resume(by),
    revoke: async (kind, id, by) => {
      let stopping: Promise<number> = Promise.resolve(0);
      try {
        const { number } = await revocations.add(kind, id, {
          by,
          inForce: () => {
            stopping = enforcement.revoke(kind, id);
          },
        });
        return { number, stopped: await stopping };
      } catch (fault) {
        // Nobody knows then what is revoked: the gate is shut, and nothing goes on either.
        if (governance.isShutBy('revocations'))
          await enforcement.stopAll({ type: 'authority.withdrawn', code: 'GOV_REVOCATION_STALE' });
        throw fault;
      }
    },
  };
}
