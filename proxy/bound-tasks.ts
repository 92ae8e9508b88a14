// Tasks that calls have left behind: which server works on them, for whom, and under which name the client knows them. A task's id is no
// credential: it is good only together with the agent whose call made it. In memory: after a start of the gate no task is known.

import type { CallId } from '../domain/ids.ts';
import { TASKS_REMEMBERED_MAX } from './limits.ts';

export interface BoundTask {
  readonly server: string;
  /** As the server calls it. */
  readonly taskId: string;
  /** Whose task it is. */
  readonly agent: string;
  /** The tool whose result it will have. */
  readonly tool: string;
  readonly call: CallId;
}

export class BoundTasks {
  readonly #tasks = new Map<string, BoundTask>();
  readonly #names = new Map<string, string>();

  /** Remembers a task and says under which id the client is to know it: the server's own, unless somebody else's task has that one. */
  bind(task: BoundTask): string {
    const key = keyOf(task.server, task.taskId);
    const known = this.#names.get(key);
    if (known !== undefined && this.#tasks.get(known)?.agent === task.agent) return known;
    if (this.#tasks.size >= TASKS_REMEMBERED_MAX) this.#forgetOldest();
    const name = this.#tasks.has(task.taskId) ? `${task.taskId}.${task.call}` : task.taskId;
    this.#tasks.set(name, task);
    this.#names.set(key, name);
    return name;
  }

  /** The task that this agent knows under this id. */
  find(name: string, agent: string): BoundTask | undefined {
    const task = this.#tasks.get(name);
    return task?.agent === agent ? task : undefined;
  }

  /** Under which id the owner knows a server's task, and who that is. */
  named(server: string, taskId: string): { readonly name: string; readonly task: BoundTask } | undefined {
    const name = this.#names.get(keyOf(server, taskId));
    const task = name === undefined ? undefined : this.#tasks.get(name);
    return name === undefined || task === undefined ? undefined : { name, task };
  }

  /** Ids under which this agent knows its tasks, oldest first. */
  of(agent: string): readonly string[] {
    return [...this.#tasks].filter(([, task]) => task.agent === agent).map(([name]) => name);
  }

  /** Its owner will hear that there is no such task. */
  #forgetOldest(): void {
    for (const [name, { server, taskId }] of this.#tasks) {
      this.#tasks.delete(name);
      this.#names.delete(keyOf(server, taskId));
      return;
    }
  }
}

function keyOf(server: string, taskId: string): string {
  return `${server} ${taskId}`;
}
