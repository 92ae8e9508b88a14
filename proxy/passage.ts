// The way of one call through the gate: verified, recorded, handed over, concluded. It keeps what the gate gives for each step, because the next is only
// taken with that. Whether and when a step is taken is the fold's.

import type { CallLimits } from '../control-plane/authorization.ts';
import { Defect } from '../domain/defect.ts';
import type { Denial, DenialCode } from '../domain/denial.ts';
import type { EntryBody } from '../domain/entry.ts';
import type { ExecutionEvent } from '../state-machines/execution-events.ts';
import type { CapturedCall } from './captured-call.ts';
import type { RecordedCall, VerifiedPermit } from './gate.ts';
import type { Payload, Receipt } from './ports.ts';
import type { RunnerPorts } from './running-call.ts';
import type { CallHooks, ToolRun } from './tool-server.ts';

export class Passage {
  readonly #ports: Pick<RunnerPorts, 'gate' | 'watchdog' | 'recorder'>;
  #verified: VerifiedPermit | undefined;
  #recorded: RecordedCall | undefined;
  #run: ToolRun | undefined;
  #permit = '';

  constructor(ports: Pick<RunnerPorts, 'gate' | 'watchdog' | 'recorder'>) {
    this.#ports = ports;
  }

  /** The id of the permit that it was verified with; empty before that. */
  get permit(): string {
    return this.#permit;
  }

  /** Whether the door may have been open for it. */
  get isRecorded(): boolean {
    return this.#recorded !== undefined;
  }

  /** Whether something of it is, or was, with the tool. */
  get isHandedOver(): boolean {
    return this.#run !== undefined;
  }

  /** `onVerified`: told what the permit grants. */
  async verify(
    permit: string,
    captured: CapturedCall | undefined,
    onVerified: (limits: CallLimits) => void,
  ): Promise<ExecutionEvent> {
    if (captured === undefined) throw new Defect('a permit for something that is no call');
    const { gate, watchdog } = this.#ports;
    await watchdog?.smooth();
    let verdict = await gate.verify(permit, captured);
    // It was found out while the signature was checked. Nothing was burnt, and it is a matter of hundredths of a second.
    while ('code' in verdict && verdict.code === 'GOV_STALLED' && watchdog?.smooth() !== undefined) {
      await watchdog.smooth();
      verdict = await gate.verify(permit, captured);
    }
    if ('code' in verdict) return { type: 'permit.refused', ...verdict };
    this.#verified = verdict.verified;
    this.#permit = verdict.jti;
    onVerified(verdict.limits);
    return { type: 'permit.verified', jti: verdict.jti };
  }

  async record(intent: EntryBody, payloads: readonly Payload[]): Promise<ExecutionEvent> {
    if (this.#verified === undefined) throw new Defect('an intent without a verified permit');
    const recorded = await this.#ports.gate.record(this.#verified, intent, payloads);
    if ('code' in recorded) return { type: 'record.failed', ...recorded };
    this.#recorded = recorded.recorded;
    await this.#ports.watchdog?.smooth();
    return { type: 'intent.recorded', seq: recorded.seq };
  }

  /** Synchronous on purpose: nothing may come between the gate's last check and the hand-over. */
  handOver(hooks: CallHooks): ToolRun | Denial {
    if (this.#recorded === undefined) throw new Defect('a tool call without a recorded intent');
    const run = this.#ports.gate.execute(this.#recorded, hooks);
    if ('answer' in run) this.#run = run;
    return run;
  }

  /** A client that changed its mind takes nothing away: the server, and what it remembers for others, is not ended for that. */
  cancel(why: DenialCode | 'defect'): void {
    this.#run?.cancel(why, why === 'CANCELLED');
  }

  /** Why it must not go on; for what was handed over. */
  stands(hasAnswered: boolean): Denial | undefined {
    return this.#recorded === undefined ? undefined : this.#ports.gate.stands(this.#recorded, hasAnswered);
  }

  /** Why what was permitted at the door would not be now. */
  lapsed(): Denial | undefined {
    return this.#recorded === undefined ? undefined : this.#ports.gate.lapsed(this.#recorded);
  }

  /** Its ending, where its intent is; a denial without one anywhere. Rejects when it cannot be recorded. */
  conclude(ending: EntryBody, payloads: readonly Payload[]): Promise<Receipt> {
    return this.#recorded === undefined
      ? this.#ports.recorder.append(ending, payloads)
      : this.#ports.gate.conclude(this.#recorded, ending, payloads);
  }
}
