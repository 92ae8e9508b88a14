// Runs one execution: performs the effects that the fold orders, through the gate and the ports, and feeds back what happened as events. It
// decides nothing itself. Every call ends here in exactly one CallEnd, and never by throwing.

import type { Authorization, CallLimits } from '../control-plane/authorization.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import { Defect } from '../domain/defect.ts';
import type { Denial, DenialCode } from '../domain/denial.ts';
import type { EntryBody } from '../domain/entry.ts';
import type { CallId } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Lineage } from '../domain/lineage.ts';
import type { CallRequested, ExecutionEvent } from '../state-machines/execution-events.ts';
import { begin, can, type Effect, type Execution, step } from '../state-machines/step.ts';
import type { CallTree } from './call-tree.ts';
import { argumentsPayload, type CapturedCall, capturedAt } from './captured-call.ts';
import type { CallEnd } from './client-view.ts';
import { Deadline } from './deadline.ts';
import type { Gate, RecordedCall, VerifiedPermit } from './gate.ts';
import { Liveness } from './guards/liveness.ts';
import type { Guarded, Watchdog } from './guards/watchdog.ts';
import { type OutputCheck, questionsOf } from './output-check.ts';
import { Payloads } from './payloads.ts';
import type { PolicyTurnover } from './policy-turnover.ts';
import type { Clock, GateCrypto, Recorder } from './ports.ts';
import { QuestionsOfCall } from './questions-of-call.ts';
import { boundedEvent, boundedRequest, isRecordable, requestedBy } from './recordable.ts';
import type { Turn } from './server-turns.ts';
import {
  type Asking,
  type CallHooks,
  NOT_HANDED_OVER,
  type Question,
  type ResultType,
  type ToolAnswer,
  type ToolRun,
} from './tool-server.ts';
import type { RetryGuard } from './unknown-calls.ts';

export interface RunnerPorts {
  readonly gate: Gate;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly crypto: GateCrypto;
  readonly checkOutput: OutputCheck;
  /** Everything between request and decision: pinned definition, schema, policy. Never rejects. */
  readonly decide: (call: CapturedCall) => Promise<Authorization>;
  /** Where policies take over from each other while the gate runs. */
  readonly turnover?: PolicyTurnover | undefined;
  /** The chains that calls belong to: what is under a call ends before it does. */
  readonly tree: Pick<CallTree, 'end' | 'elsewhere'>;
  /** For how long a tool of this server may show no progress; for as long as the call may last when undefined. */
  readonly idleTimeoutMs?: ((server: string) => number | undefined) | undefined;
  /** After the gate stood still: nothing goes out and nothing is released before what waited meanwhile was heard. */
  readonly watchdog?: Pick<Watchdog, 'smooth' | 'isStalled'> | undefined;
  /** Remembers calls of which nobody knows whether they ran. */
  readonly retries?: Pick<RetryGuard, 'ended'> | undefined;
  /** An ending could not be recorded. The gate must shut until the ledger can be written again. */
  readonly onUnrecorded: (code: DenialCode) => void;
  /** A defect of ours. The gate must shut. */
  readonly onDefect: (defect: unknown) => void;
}

export interface CallOptions {
  /** Bounds on the whole call, waiting included, until the permit says less. */
  readonly limits: CallLimits;
  /** What the peer says meanwhile. It hears of nothing once the call was stopped. */
  readonly hooks: CallHooks;
  /** Records that a question of the server was not put to the client, and answers it so. */
  readonly refuseQuestion: (question: Question, denial: Denial) => Asking;
  /** Asked before questions are released that the client is to answer in its next message: whether they may be put to it. */
  readonly admitQuestions: (questions: Readonly<Record<string, Question>>) => Promise<Denial | undefined>;
  /** Taken before the call is decided, and left when nothing of it is with the tool. */
  readonly turn?: Turn | undefined;
}

/** One execution that is under way. */
export interface RunningCall extends Guarded {
  readonly call: CallId;
  readonly end: Promise<CallEnd>;
  /** Of the permit that it was verified with; empty before that. */
  readonly permit: string;
  /** Where it stands. */
  readonly lineage: Lineage;
  /** Stops what can be stopped. A call that has ended is left as it is. */
  stop(event: Extract<ExecutionEvent, { type: 'call.cancelled' | 'authority.withdrawn' | 'fault.occurred' }>): void;
}

/** A request that was refused before it could be captured: it has no arguments that we could vouch for. */
export interface RefusedRequest {
  readonly requested: CallRequested;
  readonly denial: Denial;
}

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
  #captured: CapturedCall | undefined;
  readonly #options: CallOptions | undefined;
  #execution: Execution;
  #finish: (end: CallEnd) => void = () => {};
  #finished = false;
  readonly #deadline: Deadline;
  readonly #questions: QuestionsOfCall | undefined;
  /** Said when no policy can take over between the decision and the door any more. */
  #throughTheDoor: () => void = () => {};
  #verified: VerifiedPermit | undefined;
  #recorded: RecordedCall | undefined;
  #toolRun: ToolRun | undefined;
  #dispatchedAt = 0;
  /** Absent where silence is no reason to stop it, and once it has answered. */
  #liveness: Liveness | undefined;
  #hasAnswered = false;
  #jti = '';
  readonly #payloads: Payloads;
  #released:
    | { result: JsonObject; resultJson: string; type: ResultType }
    | { error: Extract<ToolAnswer, { kind: 'error' }>['error'] }
    | undefined;
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
    this.#captured = captured;
    this.#options = options;
    this.#deadline = new Deadline(ports.clock, () => {
      if (!this.#finished && can(this.#execution, 'deadline.passed')) this.#feed({ type: 'deadline.passed' });
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
    return this.#jti;
  }

  stop(event: Extract<ExecutionEvent, { type: 'call.cancelled' | 'authority.withdrawn' | 'fault.occurred' }>): void {
    // A call whose ending could not be recorded is not finished before its gate was shut, which stops everything that runs.
    if (!this.#finished && can(this.#execution, event.type)) this.#feed(event);
  }

  recheck(unseenMs: number): void {
    if (this.#finished) return;
    this.#deadline.lapse(unseenMs);
    this.#liveness?.lapse(unseenMs);
    const stop = this.#whyStop();
    if (stop !== undefined && !this.#finished && can(this.#execution, stop.type)) this.#feed(stop);
  }

  /** Why it must not go on, by the world of this tick. Whatever cannot be established is a reason. */
  #whyStop():
    | Extract<ExecutionEvent, { type: 'deadline.passed' | 'authority.withdrawn' | 'fault.occurred' }>
    | undefined {
    try {
      if (this.#deadline.isOver) return { type: 'deadline.passed' };
      if (!this.#isRunning() || this.#recorded === undefined || this.#toolRun === undefined) return undefined;
      const now = this.#ports.clock.monotonic();
      // Who waits for the client owes nothing meanwhile.
      if (this.#deadline.isPaused) this.#liveness?.excuse(now);
      if (this.#liveness?.isSilent(now) === true) return { type: 'deadline.passed', code: 'TOOL_SILENT' };
      const refused = this.#ports.gate.stands(this.#recorded, this.#hasAnswered);
      return refused === undefined ? undefined : { type: 'authority.withdrawn', ...refused };
    } catch (fault) {
      return { type: 'fault.occurred', code: 'VERIFIER_FAULT', detail: String(fault) };
    }
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
        return this.#await(this.#decide());
      case 'verify_permit':
        return this.#await(this.#verify(effect.permit));
      case 'record_intent':
        return this.#await(this.#recordIntent(effect));
      case 'call_tool':
        return this.#callTool();
      case 'cancel_tool':
        return this.#cancelTool(this.#execution.denial ?? 'CANCELLED');
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

  /** A client that changed its mind takes nothing away: the server, and what it remembers for others, is not ended for that. */
  #cancelTool(why: DenialCode): void {
    this.#toolRun?.cancel(why, why === 'CANCELLED');
  }

  /** The work of one effect ends in one event. Ports do not reject; what does is a defect. */
  #await(work: Promise<ExecutionEvent>): void {
    work.then(
      (event) => this.#feed(event),
      (defect) => this.#collapse(defect),
    );
  }

  async #decide(): Promise<ExecutionEvent> {
    const turn = this.#options?.turn;
    const authorization =
      turn === undefined ? await this.#decideOnTheWay(this.#captured as CapturedCall) : await this.#decideInTurn(turn);
    const input = authorization.inputJson === undefined ? undefined : this.#payloads.commitTo(authorization.inputJson);
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
  async #decideInTurn(turn: Turn): Promise<Authorization> {
    const refused = await turn.take();
    if (refused !== undefined) return { decision: 'deny', by: [], ...refused };
    const { clock } = this.#ports;
    const captured = capturedAt(this.#captured as CapturedCall, clock.now(), clock.monotonic());
    this.#captured = captured;
    return this.#decideOnTheWay(captured);
  }

  /** From the decision to the door no policy takes over from the one that decided. */
  async #decideOnTheWay(captured: CapturedCall): Promise<Authorization> {
    const through = await this.#ports.turnover?.enter();
    if (through !== undefined) {
      // Given up while it waited: nothing is asked for it any more, and nobody waits for it at the door.
      if (this.#execution.state !== 'requested') {
        through();
        return { decision: 'deny', code: 'CANCELLED', by: [] };
      }
      this.#throughTheDoor = through;
    }
    return this.#ports.decide(captured);
  }

  /** Whoever has been handed the call is in its turn until it answers or is given up, however the call ends for the client. */
  #leaveTurn(): void {
    if (this.#toolRun === undefined) this.#options?.turn?.leave();
  }

  async #verify(permit: string): Promise<ExecutionEvent> {
    if (this.#captured === undefined) throw new Defect('a permit for something that is no call');
    const { gate, watchdog } = this.#ports;
    await watchdog?.smooth();
    let verdict = await gate.verify(permit, this.#captured);
    // It was found out while the signature was checked. Nothing was burnt, and it is a matter of hundredths of a second.
    while ('code' in verdict && verdict.code === 'GOV_STALLED' && watchdog?.smooth() !== undefined) {
      await watchdog.smooth();
      verdict = await gate.verify(permit, this.#captured);
    }
    if ('code' in verdict) return { type: 'permit.refused', ...verdict };
    this.#verified = verdict.verified;
    this.#jti = verdict.jti;
    if (!this.#finished) this.#deadline.set(verdict.limits.timeoutMs);
    return { type: 'permit.verified', jti: verdict.jti };
  }

  async #recordIntent(effect: Extract<Effect, { type: 'record_intent' }>): Promise<ExecutionEvent> {
    if (this.#verified === undefined) throw new Defect('an intent without a verified permit');
    const recorded = await this.#ports.gate.record(this.#verified, effect.body, this.#payloads.take());
    if ('code' in recorded) return { type: 'record.failed', ...recorded };
    this.#recorded = recorded.recorded;
    await this.#ports.watchdog?.smooth();
    return { type: 'intent.recorded', seq: recorded.seq };
  }

  /** Synchronous on purpose: nothing may come between the gate's last check and the hand-over. */
  #callTool(): void {
    if (this.#recorded === undefined) throw new Defect('a tool call without a recorded intent');
    const run = this.#ports.gate.execute(this.#recorded, this.#hooks());
    this.#throughTheDoor();
    if ('code' in run) return this.#feed({ type: 'dispatch.refused', ...run });
    this.#toolRun = run;
    const turn = this.#options?.turn;
    if (turn !== undefined) void run.answer.finally(() => turn.leave()).catch(() => {});
    const { clock, idleTimeoutMs } = this.#ports;
    this.#dispatchedAt = clock.monotonic();
    const { server = '', askedThrough } = this.#captured ?? {};
    const idleMs = askedThrough === undefined ? idleTimeoutMs?.(server) : undefined;
    if (idleMs !== undefined) this.#liveness = new Liveness(idleMs, this.#dispatchedAt);
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
        this.#liveness?.progress(params.progress, this.#ports.clock.monotonic());
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
    this.#liveness = undefined;
    this.#hasAnswered = true;
    const event = await this.#answered(answer);
    if (event.type !== 'tool.answered') return event;
    await watchdog?.smooth();
    const stop = this.#whyStop();
    if (stop !== undefined) return stop;
    return watchdog?.isStalled === true ? { type: 'fault.occurred', code: 'GOV_STALLED' } : event;
  }

  async #answered(answer: ToolAnswer): Promise<ExecutionEvent> {
    // Whoever has answered works for it no more.
    void this.#endUnder();
    const ms = Math.round(this.#ports.clock.monotonic() - this.#dispatchedAt);
    switch (answer.kind) {
      case 'lost':
        return { type: 'tool.lost', detail: answer.detail };
      case 'refused':
        if (NOT_HANDED_OVER.has(answer.code)) {
          return { type: 'dispatch.refused', code: answer.code, detail: answer.detail };
        }
        return { type: 'output.refused', ms, code: answer.code, detail: answer.detail };
      case 'error': {
        const result = this.#payloads.commitTo(canonicalJson({ error: { ...answer.error } }));
        const refused = await this.#ports.tree.elsewhere(this.call);
        if (refused !== undefined) return { type: 'output.refused', ms, result, ...refused };
        this.#released = { error: answer.error };
        return { type: 'tool.answered', ms, isError: true, result };
      }
      case 'result': {
        const resultJson = canonicalJson(answer.result);
        const result = this.#payloads.commitTo(resultJson);
        const { type = 'complete' } = answer;
        const refused =
          (await this.#ports.checkOutput(this.#captured as CapturedCall, type, answer.result)) ??
          (await this.#admitQuestions(type, answer.result)) ??
          (await this.#ports.tree.elsewhere(this.call)) ??
          this.#lapsedAnswer();
        if (refused !== undefined) return { type: 'output.refused', ms, result, ...refused };
        this.#released = { result: answer.result, resultJson, type };
        const isError = answer.result.isError === true;
        return { type: 'tool.answered', ms, isError, result, ...(type === 'complete' ? {} : { incomplete: type }) };
      }
    }
  }

  /** A client may take its time. Its answer goes to the server only under the rules, and through the gate, of the question. */
  #lapsedAnswer(): Denial | undefined {
    const isQuestion = this.#captured?.askedThrough !== undefined;
    return isQuestion && this.#recorded !== undefined ? this.#ports.gate.lapsed(this.#recorded) : undefined;
  }

  /** Questions come in an answer that is not the end, and in the state of a task. */
  async #admitQuestions(type: ResultType, result: JsonObject): Promise<Denial | undefined> {
    const { method } = this.#captured as CapturedCall;
    if (type !== 'input_required' && !method.startsWith('tasks/')) return undefined;
    const questions = questionsOf(result);
    return Object.keys(questions).length === 0 ? undefined : this.#options?.admitQuestions(questions);
  }

  async #recordEnding(effect: Extract<Effect, { type: 'record_outcome' | 'record_denial' }>): Promise<ExecutionEvent> {
    this.#deadline.stop();
    this.#leaveTurn();
    this.#questions?.withdraw();
    await this.#endUnder();
    try {
      // Before the ending is on disk: a crash on the next line leaves an intent, which recovery remembers in the same way.
      await this.#remember(effect.body);
      const payloads = this.#payloads.take();
      const recorded = this.#recorded;
      const receipt =
        recorded === undefined
          ? await this.#ports.recorder.append(effect.body, payloads)
          : await this.#ports.gate.conclude(recorded, effect.body, payloads);
      this.#endingSeq = receipt.seq;
      return { type: effect.type === 'record_outcome' ? 'outcome.recorded' : 'denial.recorded', seq: receipt.seq };
    } catch (fault) {
      if (fault instanceof Defect) throw fault;
      return { type: 'record.failed', code: 'GOV_LEDGER_UNWRITABLE', detail: String(fault) };
    }
  }

  async #remember({ events }: EntryBody): Promise<void> {
    const { outcome } = this.#execution;
    if (this.#captured === undefined || outcome === undefined || this.#ports.retries === undefined) return;
    await this.#ports.retries.ended(this.#captured, outcome, events as readonly JsonObject[]);
  }

  /** Resolves when everything under the call has ended. */
  #endUnder(): Promise<unknown> | undefined {
    this.#under ??= this.#ports.tree.end(this.call);
    return this.#under;
  }

  #release(): void {
    const receipt = { call: this.call, entry: this.#endingSeq, permit: this.#jti };
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
    this.#throughTheDoor();
    this.#finish(end);
  }

  /** We are wrong about something. The client is denied, nothing more is sent, and the gate shuts. */
  #collapse(defect: unknown): void {
    if (this.#finished) return;
    this.#toolRun?.cancel('defect');
    this.#questions?.withdraw();
    void this.#endUnder();
    this.#done({
      kind: 'denied',
      call: this.call,
      code: 'VERIFIER_FAULT',
      // With the intent on disk the door may have been open when we noticed.
      executed: this.#recorded === undefined ? 'no' : 'perhaps',
      recorded: false,
    });
    this.#ports.onDefect(defect);
  }
}
