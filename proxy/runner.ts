// Runs one execution: performs the effects that the fold orders, through the gate and the ports, and feeds back what happened as events. It
// decides nothing itself. Every call ends here in exactly one CallEnd, and never by throwing.

import type { Authorization } from '../control-plane/authorization.ts';
import { Defect } from '../domain/defect.ts';
import type { Denial, DenialCode } from '../domain/denial.ts';
import type { EntryBody } from '../domain/entry.ts';
import type { CallId } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Lineage } from '../domain/lineage.ts';
import type { CallRequested, ExecutionEvent } from '../state-machines/execution-events.ts';
import { begin, can, type Effect, type Execution, step } from '../state-machines/step.ts';
import { CallDecision } from './call-decision.ts';
import { argumentsPayload, type CapturedCall } from './captured-call.ts';
import type { CallEnd } from './client-view.ts';
import { Deadline } from './deadline.ts';
import { CallWatch } from './guards/call-watch.ts';
import { Passage } from './passage.ts';
import { Payloads } from './payloads.ts';
import { QuestionsOfCall } from './questions-of-call.ts';
import { examineAnswer, type Releasable } from './received-answer.ts';
import { boundedEvent, boundedRequest, requestedBy } from './recordable.ts';
import type { CallOptions, RefusedRequest, RunnerPorts, RunningCall, Stop } from './running-call.ts';
import type { CallHooks, ToolAnswer } from './tool-server.ts';

/** Starts the machine for a captured call. */
export function runCall(ports: RunnerPorts, captured: CapturedCall, options: CallOptions): RunningCall {
  return new Run(ports, requestedBy(captured), captured, options);
}

/** Records a denial of something that was never a call. */
export function refuseRequest(ports: RunnerPorts, refused: RefusedRequest): RunningCall {
  const { requested, denial } = refused;
  const denied: Authorization = { decision: 'deny', by: [], ...denial };
  const decide = async (): Promise<Authorization> => denied;
  return new Run({ ...ports, decide }, requested, undefined, undefined);
}

class Run implements RunningCall {
  readonly call: CallId;
  readonly lineage: Lineage;
  readonly end: Promise<CallEnd>;
  readonly #ports: RunnerPorts;
  readonly #decision: CallDecision;
  readonly #options: CallOptions | undefined;
  #execution: Execution;
  #finish: (end: CallEnd) => void = () => {};
  #finished = false;
  readonly #deadline: Deadline;
  readonly #questions: QuestionsOfCall | undefined;
  readonly #passage: Passage;
  readonly #watch: CallWatch;
  readonly #payloads: Payloads;
  #released: Releasable | undefined;
  #endingSeq = -1;
  #under: Promise<unknown> | undefined;

  constructor(
    ports: RunnerPorts,
    requested: CallRequested,
    captured: CapturedCall | undefined,
    options: CallOptions | undefined,
  ) {
    this.call = requested.call;
    this.lineage = requested.lineage;
    this.#ports = ports;
    this.#options = options;
    const { turn } = options ?? {};
    this.#decision = new CallDecision(
      { ...ports, turn, isWanted: () => this.#execution.state === 'requested' },
      captured,
    );
    this.#deadline = new Deadline(ports.clock, () => {
      if (!this.#finished && can(this.#execution, 'deadline.passed')) this.#feed({ type: 'deadline.passed' });
    });
    this.#passage = new Passage(ports);
    this.#watch = new CallWatch({
      clock: ports.clock,
      deadline: this.#deadline,
      isRunning: () => this.#isRunning(),
      stands: (hasAnswered) => this.#passage.stands(hasAnswered),
    });
    if (options !== undefined) {
      this.#questions = new QuestionsOfCall({
        ask: (question) => options.hooks.ask(question),
        refuse: options.refuseQuestion,
        isRunning: () => this.#isRunning(),
        deadline: this.#deadline,
      });
    }
    this.end = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#payloads = new Payloads(ports.crypto);
    if (captured !== undefined) this.#payloads.keep(argumentsPayload(captured));
    const [execution, effects] = begin(boundedRequest(requested));
    this.#execution = execution;
    if (options !== undefined) this.#deadline.set(options.limits.timeoutMs);
    this.#perform(effects);
  }

  get permit(): string {
    return this.#passage.permit;
  }

  stop(event: Stop): void {
    // A call whose ending could not be recorded is not finished before its gate was shut, which stops everything that runs.
    if (!this.#finished && can(this.#execution, event.type)) this.#feed(event);
  }

  recheck(unseenMs: number): void {
    if (this.#finished) return;
    this.#watch.lapse(unseenMs);
    const stop = this.#watch.whyStop();
    if (stop !== undefined && !this.#finished && can(this.#execution, stop.type)) this.#feed(stop);
  }

  /** Applies a fact. A fact that cannot happen is our defect: the call ends denied and the gate shuts. */
  #feed(event: ExecutionEvent): void {
    if (this.#finished) return;
    try {
      const [execution, effects] = step(this.#execution, boundedEvent(event));
      this.#execution = execution;
      this.#perform(effects);
    } catch (defect) {
      this.#collapse(defect);
    }
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#performOne(effect);
  }

  #performOne(effect: Effect): void {
    switch (effect.type) {
      case 'decide':
        return this.#await(this.#decision.decide(this.#payloads));
      case 'verify_permit':
        return this.#await(
          this.#passage.verify(effect.permit, this.#decision.captured, ({ timeoutMs }) => {
            if (!this.#finished) this.#deadline.set(timeoutMs);
          }),
        );
      case 'record_intent':
        return this.#await(this.#passage.record(effect.body, this.#payloads.take()));
      case 'call_tool':
        return this.#callTool();
      case 'cancel_tool':
        return this.#passage.cancel(this.#execution.denial ?? 'CANCELLED');
      case 'record_outcome':
      case 'record_denial':
        return this.#await(this.#recordEnding(effect));
      case 'release_result':
        return this.#release();
      case 'answer_denial':
        return this.#answerDenial(effect.code);
      case 'halt_gate':
        return this.#ports.onUnrecorded(effect.code);
    }
  }

  /** The work of one effect ends in one event. Ports do not reject; what does is a defect. */
  #await(work: Promise<ExecutionEvent>): void {
    work.then(
      (event) => this.#feed(event),
      (defect) => this.#collapse(defect),
    );
  }

  /** Whoever has been handed the call is in its turn until it answers or is given up, however the call ends for the client. */
  #leaveTurn(): void {
    if (!this.#passage.isHandedOver) this.#decision.leaveTurn();
  }

  /** Synchronous on purpose: nothing may come between the gate's last check and the hand-over. */
  #callTool(): void {
    const run = this.#passage.handOver(this.#hooks());
    this.#decision.throughTheDoor();
    if ('code' in run) return this.#feed({ type: 'dispatch.refused', ...run });
    void run.answer.finally(() => this.#decision.leaveTurn()).catch(() => {});
    const { server = '', askedThrough } = this.#decision.captured ?? {};
    this.#watch.handedOver(askedThrough === undefined ? this.#ports.idleTimeoutMs?.(server) : undefined);
    this.#await(run.answer.then((answer) => this.#judged(answer)));
  }

  /** What a peer says after the call was stopped, or has ended, goes nowhere; what it asks then is refused. */
  #hooks(): CallHooks {
    const { hooks } = this.#options ?? {};
    const questions = this.#questions;
    if (hooks === undefined || questions === undefined) throw new Defect('a tool call that nobody made');
    return {
      onProgress: (params) => {
        if (!this.#isRunning()) return;
        this.#watch.progress(params.progress);
        hooks.onProgress(params);
      },
      onLog: (params) => {
        if (this.#isRunning()) hooks.onLog(params);
      },
      ask: (question) => questions.ask(question),
    };
  }

  #isRunning(): boolean {
    return !this.#finished && this.#execution.state === 'executing.running';
  }

  /** What an answer comes to. One that came while the gate stood still is not released before everything else that came then was heard. */
  async #judged(answer: ToolAnswer): Promise<ExecutionEvent> {
    const { watchdog } = this.#ports;
    await watchdog?.smooth();
    this.#watch.answered();
    const event = await this.#examined(answer);
    if (event.type !== 'tool.answered') return event;
    await watchdog?.smooth();
    const stop = this.#watch.whyStop();
    if (stop !== undefined) return stop;
    return watchdog?.isStalled === true ? { type: 'fault.occurred', code: 'GOV_STALLED' } : event;
  }

  async #examined(answer: ToolAnswer): Promise<ExecutionEvent> {
    const { checkOutput, tree } = this.#ports;
    const { captured } = this.#decision;
    if (captured === undefined) throw new Defect('an answer to something that is no call');
    // Whoever has answered works for it no more.
    void this.#endUnder();
    const payloads = this.#payloads;
    const admitQuestions = this.#options?.admitQuestions;
    const lapsed = (): Denial | undefined => this.#passage.lapsed();
    const answered = { captured, payloads, checkOutput, tree, admitQuestions, lapsed };
    const { event, releasable } = await examineAnswer(answered, answer, this.#watch.ms);
    this.#released = releasable;
    return event;
  }

  async #recordEnding(effect: Extract<Effect, { type: 'record_outcome' | 'record_denial' }>): Promise<ExecutionEvent> {
    this.#deadline.stop();
    this.#leaveTurn();
    this.#questions?.withdraw();
    await this.#endUnder();
    try {
      // Before the ending is on disk: a crash on the next line leaves an intent, which recovery remembers in the same way.
      await this.#remember(effect.body);
      const receipt = await this.#passage.conclude(effect.body, this.#payloads.take());
      this.#endingSeq = receipt.seq;
      return { type: effect.type === 'record_outcome' ? 'outcome.recorded' : 'denial.recorded', seq: receipt.seq };
    } catch (fault) {
      if (fault instanceof Defect) throw fault;
      return { type: 'record.failed', code: 'GOV_LEDGER_UNWRITABLE', detail: String(fault) };
    }
  }

  async #remember({ events }: EntryBody): Promise<void> {
    const { outcome } = this.#execution;
    const { captured } = this.#decision;
    if (captured === undefined || outcome === undefined || this.#ports.retries === undefined) return;
    await this.#ports.retries.ended(captured, outcome, events as readonly JsonObject[]);
  }

  /** Resolves when everything under the call has ended. */
  #endUnder(): Promise<unknown> | undefined {
    this.#under ??= this.#ports.tree.end(this.call);
    return this.#under;
  }

  #release(): void {
    const receipt = { call: this.call, entry: this.#endingSeq, permit: this.#passage.permit };
    const released = this.#released;
    if (released === undefined) throw new Defect('a release without a result');
    if ('error' in released) this.#done({ kind: 'error', error: released.error, receipt });
    else this.#done({ kind: 'result', ...released, receipt });
  }

  #answerDenial(code: DenialCode): void {
    const { outcome, state } = this.#execution;
    const executed = outcome?.dispatched !== true ? 'no' : outcome.status === 'withheld' ? 'yes' : 'perhaps';
    // A ledger that failed while the intent was on its way never led to a dispatch either.
    this.#done({ kind: 'denied', call: this.call, code, executed, recorded: state === 'denied.recorded' });
  }

  #done(end: CallEnd): void {
    this.#finished = true;
    this.#deadline.stop();
    this.#leaveTurn();
    this.#decision.throughTheDoor();
    this.#finish(end);
  }

  /** We are wrong about something. The client is denied, nothing more is sent, and the gate shuts. */
  #collapse(defect: unknown): void {
    if (this.#finished) return;
    this.#passage.cancel('defect');
    this.#questions?.withdraw();
    void this.#endUnder();
    this.#done({
      kind: 'denied',
      call: this.call,
      code: 'VERIFIER_FAULT',
      // With the intent on disk the door may have been open when we noticed.
      executed: this.#passage.isRecorded ? 'perhaps' : 'no',
      recorded: false,
    });
    this.#ports.onDefect(defect);
  }
}
