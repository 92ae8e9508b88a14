// How one call comes to its decision: in its turn, and under a policy that stays in force until the call is through the door. What is decided comes from
// the port; here it becomes the fact that the fold knows.

import type { Authorization } from '../control-plane/authorization.ts';
import { Defect } from '../domain/defect.ts';
import type { ExecutionEvent } from '../state-machines/execution-events.ts';
import { type CapturedCall, capturedAt } from './captured-call.ts';
import type { Payloads } from './payloads.ts';
import { isRecordable } from './recordable.ts';
import type { RunnerPorts } from './running-call.ts';
import type { Turn } from './server-turns.ts';

export interface DecisionPorts extends Pick<RunnerPorts, 'clock' | 'decide' | 'turnover'> {
  readonly turn: Turn | undefined;
  /** Whether anybody still waits for the decision. */
  readonly isWanted: () => boolean;
}

export class CallDecision {
  readonly #ports: DecisionPorts;
  #captured: CapturedCall | undefined;
  #throughTheDoor: () => void = () => {};

  constructor(ports: DecisionPorts, captured: CapturedCall | undefined) {
    this.#ports = ports;
    this.#captured = captured;
  }

  /** The call, as of the moment from which it is decided; undefined for something that is no call. */
  get captured(): CapturedCall | undefined {
    return this.#captured;
  }

  /** No policy can take over between the decision and the door any more. */
  throughTheDoor(): void {
    this.#throughTheDoor();
  }

  /** Whoever has been handed the call is in its turn until it answers or is given up: nobody else leaves it before. */
  leaveTurn(): void {
    this.#ports.turn?.leave();
  }

  /** What the decision saw is among the payloads then. */
  async decide(payloads: Payloads): Promise<ExecutionEvent> {
    const authorization = await this.#authorization();
    const input = authorization.inputJson === undefined ? undefined : payloads.commitTo(authorization.inputJson);
    if (authorization.decision === 'allow') {
      if (input === undefined) throw new Defect('an allowed call without the input of its decision');
      const { policy, by, obligations, permit } = authorization;
      if (!isRecordable([...by, ...obligations], permit)) {
        return { type: 'decision.denied', code: 'POLICY_ENGINE_FAULT', by: [], detail: 'the decision is too large' };
      }
      return { type: 'decision.allowed', policy, by, obligations, input, permit };
    }
    const { code, by, detail, policy } = authorization;
    return {
      type: 'decision.denied',
      code,
      by: isRecordable(by) ? by : [],
      ...(detail === undefined ? {} : { detail }),
      ...(policy === undefined ? {} : { policy }),
      ...(input === undefined ? {} : { input }),
    };
  }

  /** Nothing is asked for a call that waits: neither its permit nor a fact about it may be as old as the wait. */
  async #authorization(): Promise<Authorization> {
    const { clock, turn } = this.#ports;
    if (turn !== undefined) {
      const refused = await turn.take();
      if (refused !== undefined) return { decision: 'deny', by: [], ...refused };
      this.#captured = capturedAt(this.#captured as CapturedCall, clock.now(), clock.monotonic());
    }
    return this.#underOnePolicy(this.#captured as CapturedCall);
  }

  /** From the decision to the door no policy takes over from the one that decided. */
  async #underOnePolicy(captured: CapturedCall): Promise<Authorization> {
    const { decide, turnover, isWanted } = this.#ports;
    const through = await turnover?.enter();
    if (through !== undefined) {
      // Given up while it waited: nothing is asked for it any more, and nobody waits for it at the door.
      if (!isWanted()) {
        through();
        return { decision: 'deny', code: 'CANCELLED', by: [] };
      }
      this.#throughTheDoor = through;
    }
    return decide(captured);
  }
}
