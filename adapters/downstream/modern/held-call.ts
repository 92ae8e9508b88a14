// One call whose server may ask in the middle of it, as those of the older revisions do. A client of this era can only be asked by ending its
// request. So the question is parked, the request is answered with it, and a later request brings the answer. How long that may take is
// for held-calls.ts.

import { Buffer } from 'node:buffer';
import type { GovernanceSnapshot } from '../../../control-plane/authorization.ts';
import { type Denial, type DenialCode, deny } from '../../../domain/denial.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import type { CallEnd } from '../../../proxy/client-view.ts';
import type { Participation } from '../../../proxy/conversation.ts';
import type { RunningCall } from '../../../proxy/running-call.ts';
import type { Dispatch, Peer, Question, ToolAnswer, ToolRun } from '../../../proxy/tool-server.ts';
import type { Answers } from './answers.ts';

/** What happens next in a call: it ends, or it asks. */
export type CallEvent =
  | { readonly kind: 'end'; readonly end: CallEnd }
  | { readonly kind: 'questions'; readonly questions: Readonly<Record<string, Question>> };

/** What a decision is good for: until the rules change, something is revoked, or the gate falls shut. */
export type Generation = GovernanceSnapshot | Denial;

/** Where what is said meanwhile goes: the request that the client waits for now. */
export type Outlet = Pick<Participation, 'onProgress' | 'onLog'>;

interface Parked {
  readonly question: Question;
  /** The state of governance in which it was decided. */
  readonly askedUnder: Generation;
  readonly bytesMax: number;
  settle(answer: ToolAnswer): void;
}

const NOWHERE: Outlet = { onProgress: () => {}, onLog: () => {} };

/** How long nothing more has to be asked until what was asked goes to the client: a server's questions of one moment make one round. */
const QUIET_MS = 20;

export class HeldCall {
  /** The client, as the one who is asked. */
  readonly client: Peer = { dispatch: (dispatch) => this.#park(dispatch) };
  outlet: Outlet = NOWHERE;
  /** What was asked so far, put to the client or not. */
  readonly questions: Question[] = [];
  readonly #generation: () => Generation;
  readonly #parked = new Map<string, Parked>();
  #running: RunningCall | undefined;
  #end: CallEnd | undefined;
  #named = 0;
  /** Questions that are being decided, wait here, or are on their way back. */
  #open = 0;
  #wake: () => void = () => {};

  constructor(generation: () => Generation) {
    this.#generation = generation;
  }

  runs(running: RunningCall): void {
    this.#running = running;
    void running.end.then((end) => {
      this.#end = end;
      this.#wake();
    });
  }

  get running(): RunningCall | undefined {
    return this.#running;
  }

  /** The server asks something. Whether it may is being decided, and nothing goes to the client before all of that is. */
  asked(question: Question, answered: Promise<unknown>): void {
    this.questions.push(question);
    this.#open += 1;
    void answered.then(() => {
      this.#open -= 1;
      this.#wake();
    });
    this.#wake();
  }

  /** Resolves with the end of the call, or with all that it asks together. */
  async next(): Promise<CallEvent> {
    for (;;) {
      if (this.#end !== undefined) return { kind: 'end', end: this.#end };
      const isAsking = this.#parked.size > 0 && this.#parked.size >= this.#open;
      const changed = await this.#changed(isAsking ? QUIET_MS : undefined);
      if (!changed && this.#parked.size > 0) {
        const questions = [...this.#parked].map(([key, { question }]) => [key, question] as const);
        return { kind: 'questions', questions: Object.fromEntries(questions) };
      }
    }
  }

  /** Why nothing that the client says may reach the server any more: what was decided about the questions is not good now. */
  withdrawn(): Denial | undefined {
    const now = this.#generation();
    if ('code' in now) return now;
    for (const { askedUnder } of this.#parked.values()) {
      if ('code' in askedUnder || askedUnder.epoch !== now.epoch) return deny('GOV_EPOCH_MISMATCH', 'the held call');
      if (askedUnder.revocation !== now.revocation) return deny('GOV_REVOCATION_BEHIND', 'the held call');
    }
    return undefined;
  }

  /** Whether something happens within a time; without one, when it does. */
  #changed(withinMs: number | undefined): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = withinMs === undefined ? undefined : setTimeout(() => resolve(false), withinMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  /** Hands the answers to whoever asked. Questions without one stay. */
  answer(answers: Answers): void {
    for (const [key, result] of Object.entries(answers)) {
      const parked = this.#parked.get(key);
      if (parked === undefined) continue;
      this.#parked.delete(key);
      const bytes = Buffer.byteLength(JSON.stringify(result));
      if (bytes > parked.bytesMax)
        parked.settle({ kind: 'refused', code: 'OUTPUT_TOO_LARGE', detail: `an answer of ${bytes} bytes`, bytes });
      else parked.settle({ kind: 'result', result, bytes });
    }
  }

  stop(by: 'client' | 'disconnect'): void {
    this.#running?.stop({ type: 'call.cancelled', by });
  }

  /** It goes on under no authority any more. */
  withdraw(code: DenialCode): void {
    this.#running?.stop({ type: 'authority.withdrawn', code });
  }

  #park({ method, body, meta, outputBytesMax }: Dispatch): ToolRun {
    this.#named += 1;
    const key = `question-${this.#named}`;
    const said = JSON.parse(body) as Json; // Ours: the canonical form of what the rules decided about.
    const { progressToken: _, ...kept } = meta;
    const params: JsonObject = {
      ...(isJsonObject(said) ? said : {}),
      ...(Object.keys(kept).length === 0 ? {} : { _meta: kept }),
    };
    // This is the tick in which the gate found its permit good.
    const askedUnder = this.#generation();
    const answer = new Promise<ToolAnswer>((settle) => {
      this.#parked.set(key, { question: { method, params }, askedUnder, bytesMax: outputBytesMax, settle });
    });
    this.#wake();
    return {
      answer,
      cancel: (reason) => {
        const parked = this.#parked.get(key);
        this.#parked.delete(key);
        parked?.settle({ kind: 'lost', detail: `withdrawn: ${reason}` });
      },
    };
  }
}
