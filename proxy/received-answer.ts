// What the answer of a tool comes to: the fact for the ledger, and what may be released once that is durable. An answer that fails a check is refused here
// and released nowhere.

import { canonicalJson } from '../domain/canonical-json.ts';
import type { Denial } from '../domain/denial.ts';
import type { JsonObject } from '../domain/json.ts';
import type { ExecutionEvent } from '../state-machines/execution-events.ts';
import type { CapturedCall } from './captured-call.ts';
import { questionsOf } from './output-check.ts';
import type { Payloads } from './payloads.ts';
import type { CallOptions, RunnerPorts } from './running-call.ts';
import { NOT_HANDED_OVER, type ResultType, type ToolAnswer } from './tool-server.ts';

/** What the client is given, and nobody before the ending is recorded. */
export type Releasable =
  | { readonly result: JsonObject; readonly resultJson: string; readonly type: ResultType }
  | { readonly error: Extract<ToolAnswer, { kind: 'error' }>['error'] };

export interface ExaminedAnswer {
  readonly event: ExecutionEvent;
  /** Only with `tool.answered`. */
  readonly releasable?: Releasable;
}

export interface AnswerPorts extends Pick<RunnerPorts, 'checkOutput' | 'tree'> {
  readonly captured: CapturedCall;
  readonly payloads: Payloads;
  readonly admitQuestions: CallOptions['admitQuestions'] | undefined;
  /** Why what was permitted at the door would not be now. */
  readonly lapsed: () => Denial | undefined;
}

/** `ms`: how long it took. What was said is among the payloads then, also where it is refused. */
export async function examineAnswer(ports: AnswerPorts, answer: ToolAnswer, ms: number): Promise<ExaminedAnswer> {
  const { captured, payloads, tree } = ports;
  switch (answer.kind) {
    case 'lost':
      return { event: { type: 'tool.lost', detail: answer.detail } };
    case 'refused': {
      const { code, detail } = answer;
      if (NOT_HANDED_OVER.has(code)) return { event: { type: 'dispatch.refused', code, detail } };
      return { event: { type: 'output.refused', ms, code, detail } };
    }
    case 'error': {
      const { error } = answer;
      const result = payloads.commitTo(canonicalJson({ error: { ...error } }));
      const refused = await tree.elsewhere(captured.call);
      if (refused !== undefined) return { event: { type: 'output.refused', ms, result, ...refused } };
      return { event: { type: 'tool.answered', ms, isError: true, result }, releasable: { error } };
    }
    case 'result': {
      const { type = 'complete' } = answer;
      const resultJson = canonicalJson(answer.result);
      const result = payloads.commitTo(resultJson);
      const refused = await whyWithheld(ports, type, answer.result);
      if (refused !== undefined) return { event: { type: 'output.refused', ms, result, ...refused } };
      const isError = answer.result.isError === true;
      const incomplete = type === 'complete' ? {} : { incomplete: type };
      return {
        event: { type: 'tool.answered', ms, isError, result, ...incomplete },
        releasable: { result: answer.result, resultJson, type },
      };
    }
  }
}

async function whyWithheld(ports: AnswerPorts, type: ResultType, result: JsonObject): Promise<Denial | undefined> {
  const { captured, checkOutput, tree, lapsed } = ports;
  return (
    (await checkOutput(captured, type, result)) ??
    (await whyNotAsked(ports, type, result)) ??
    (await tree.elsewhere(captured.call)) ??
    // A client may take its time. Its answer goes to the server only under the rules, and through the gate, of the question.
    (captured.askedThrough === undefined ? undefined : lapsed())
  );
}

/** Questions come in an answer that is not the end, and in the state of a task. */
async function whyNotAsked(
  { captured, admitQuestions }: AnswerPorts,
  type: ResultType,
  result: JsonObject,
): Promise<Denial | undefined> {
  if (type !== 'input_required' && !captured.method.startsWith('tasks/')) return undefined;
  const questions = questionsOf(result);
  return Object.keys(questions).length === 0 ? undefined : admitQuestions?.(questions);
}
