// Tasks that calls have left behind: which server works on them, for whom, and under which name the client knows them. A task's id is no
// credential: it is good only together with the agent whose call made it. In memory: after a start of the gate no task is known.

import type { CallId } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import { answerable } from './client-answer-check.ts';
import { TASKS_PER_AGENT_MAX, TASKS_REMEMBERED_MAX } from './limits.ts';
import { questionsOf } from './output-check.ts';
import type { Question } from './tool-server.ts';

export interface BoundTask {
  readonly server: string;
  /** As the server calls it. */
  readonly taskId: string;
  /** Whose task it is. */
  readonly agent: string;
  /** The tool whose result it will have. */
  readonly tool: string;
  readonly call: CallId;
  /** To whom alone the server belongs that works on it; absent where all share it. */
  readonly scope?: object | undefined;
}

type Questions = Readonly<Record<string, Question>>;

interface Kept {
  task: BoundTask;
  /** What its server said of it last, without anything that it has come to. */
  state: JsonObject;
  /** What its owner is asked for now, as far as answers are compared with it. */
  questions: Questions;
}

/** What is kept of what a server says of a task. */
const STATE = ['status', 'createdAt', 'lastUpdatedAt', 'ttl', 'pollInterval'];
const STATE_CHARACTERS_MAX = 64;

export class BoundTasks {
  /** Of each agent, by the name under which it knows them. What one agent has does not show in the names of another. */
  readonly #ofAgent = new Map<string, Map<string, Kept>>();
  /** By server and its id, oldest first. */
  readonly #names = new Map<string, { readonly agent: string; readonly name: string }>();
  /** What tells servers of one name apart of which each belongs to somebody. */
  readonly #scopes = new WeakMap<object, number>();
  #scopesSeen = 0;

  /** Remembers a task and says under which id the client is to know it: the server's own, unless another task of that agent has that one. */
  bind(task: BoundTask, said: JsonObject = {}): string {
    const key = this.#keyOf(task.server, task.taskId, task.scope);
    const known = this.#names.get(key);
    const again = known?.agent === task.agent ? this.#ofAgent.get(known.agent)?.get(known.name) : undefined;
    if (known !== undefined && again !== undefined) {
      // Given away anew to the same agent, it is the latest task of that id.
      again.task = task;
      again.state = stateOf(said);
      again.questions = {};
      return known.name;
    }
    // A server that gives an id away anew has forgotten whose it was. It must not be the task of both.
    if (known !== undefined) this.#forget(key);
    const own = this.#ofAgent.get(task.agent) ?? new Map<string, Kept>();
    if (own.size >= TASKS_PER_AGENT_MAX) this.#forgetOldest(task.agent);
    if (this.#names.size >= TASKS_REMEMBERED_MAX) this.#forgetOldest();
    this.#ofAgent.set(task.agent, own);
    const name = own.has(task.taskId) ? `${task.taskId}.${task.call}` : task.taskId;
    own.set(name, { task, state: stateOf(said), questions: {} });
    this.#names.set(key, { agent: task.agent, name });
    return name;
  }

  /** What the server says of a task now. Of a task that is not known nothing is kept. */
  learn(server: string, taskId: string, said: JsonObject, scope?: object): void {
    const known = this.#names.get(this.#keyOf(server, taskId, scope));
    const kept = known === undefined ? undefined : this.#ofAgent.get(known.agent)?.get(known.name);
    if (kept === undefined) return;
    kept.state = { ...kept.state, ...stateOf(said) };
    const { status, inputRequests } = said;
    // That it waits for answers is also said without saying for which.
    const isOver = status !== undefined && status !== 'input_required';
    if (inputRequests !== undefined || isOver) kept.questions = answerable(questionsOf(said));
  }

  /** The questions of a task that wait for answers. What a server was never heard to ask cannot be answered. */
  questions(server: string, taskId: string, scope?: object): Questions {
    const known = this.#names.get(this.#keyOf(server, taskId, scope));
    return (known && this.#ofAgent.get(known.agent)?.get(known.name)?.questions) ?? {};
  }

  /** The task that this agent knows under this id. */
  find(name: string, agent: string): BoundTask | undefined {
    return this.#ofAgent.get(agent)?.get(name)?.task;
  }

  /** Under which id the owner knows a server's task, and who that is. */
  named(
    server: string,
    taskId: string,
    scope?: object,
  ): { readonly name: string; readonly task: BoundTask } | undefined {
    const known = this.#names.get(this.#keyOf(server, taskId, scope));
    const kept = known === undefined ? undefined : this.#ofAgent.get(known.agent)?.get(known.name);
    return known === undefined || kept === undefined ? undefined : { name: known.name, task: kept.task };
  }

  /** Ids under which this agent knows its tasks, oldest first. */
  of(agent: string): readonly string[] {
    return [...(this.#ofAgent.get(agent)?.keys() ?? [])];
  }

  /** What was last said of a task, under the name that this agent knows. */
  state(name: string, agent: string): JsonObject {
    return this.#ofAgent.get(agent)?.get(name)?.state ?? {};
  }

  /** The servers that belonged to somebody alone are gone, and their tasks with them. */
  forget(scope: object): void {
    const number = this.#scopes.get(scope);
    if (number === undefined) return;
    for (const key of [...this.#names.keys()]) if (key.startsWith(`${number} `)) this.#forget(key);
  }

  /** Its owner will hear that there is no such task. */
  #forgetOldest(agent?: string): void {
    for (const [key, known] of this.#names) {
      if (agent === undefined || known.agent === agent) return this.#forget(key);
    }
  }

  /** 0: everybody's server. */
  #keyOf(server: string, taskId: string, scope: object | undefined): string {
    if (scope === undefined) return `0 ${server} ${taskId}`;
    const number = this.#scopes.get(scope) ?? ++this.#scopesSeen;
    this.#scopes.set(scope, number);
    return `${number} ${server} ${taskId}`;
  }

  #forget(key: string): void {
    const known = this.#names.get(key);
    if (known === undefined) return;
    this.#names.delete(key);
    const own = this.#ofAgent.get(known.agent);
    own?.delete(known.name);
    if (own?.size === 0) this.#ofAgent.delete(known.agent);
  }
}

function stateOf(said: JsonObject): JsonObject {
  const isSmall = (value: unknown) =>
    value === null || typeof value === 'number' || (typeof value === 'string' && value.length <= STATE_CHARACTERS_MAX);
  return Object.fromEntries(Object.entries(said).filter(([key, value]) => STATE.includes(key) && isSmall(value)));
}
