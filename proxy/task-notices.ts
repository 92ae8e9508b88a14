// What servers say of tasks unasked. Only its owner hears of a task. Of what a task has come to such a message is a hint and no more: a result
// goes to nobody before it was decided about, checked and recorded, so it is fetched as the owner would, and what that yields is told.

import type { BoundTasks } from './bound-tasks.ts';
import type { Operation, Participation } from './conversation.ts';
import { forwarded } from './forwarded-meta.ts';
import { OUTCOME_OF_TASK } from './output-check.ts';
import { partsNotInOurName } from './own-name.ts';
import type { RunningCall } from './running-call.ts';
import type { Notice } from './tool-server.ts';

/** The owner's conversation. */
export interface TaskOwner {
  readonly agent: string;
  readonly tasks: BoundTasks;
  /** To whom alone a server belongs; undefined where all share it. */
  readonly scope: (server: string) => object | undefined;
  readonly hasRoom: () => boolean;
  readonly begin: (operation: Operation, participation: Participation) => RunningCall;
  /** Does nothing once the conversation has ended. */
  readonly tell: (notice: Notice, server: string) => void;
  readonly isClosed: () => boolean;
}

const SILENT: Participation = { onProgress: () => {}, onLog: () => {}, client: undefined };

export class TaskNotices {
  readonly #owner: TaskOwner;
  /** Tasks whose outcome is being fetched, and what was said of them meanwhile. */
  readonly #fetching = new Map<string, { readonly again: Notice | undefined }>();

  constructor(owner: TaskOwner) {
    this.#owner = owner;
  }

  noticed(server: string, { method, params }: Notice): void {
    const { agent, tasks, scope, hasRoom, begin, tell, isClosed } = this.#owner;
    const own = scope(server);
    const bound = tasks.named(server, String(params.taskId), own);
    if (bound?.task.agent !== agent) return;
    const { name, task } = bound;
    if (!OUTCOME_OF_TASK.some((member) => Object.hasOwn(params, member))) {
      tasks.learn(server, task.taskId, params, own);
      return tell({ method, params: { ...params, taskId: name } }, server);
    }
    if (this.#fetching.has(name)) this.#fetching.set(name, { again: { method, params } });
    if (this.#fetching.has(name) || !hasRoom()) return;
    this.#fetching.set(name, { again: undefined });
    const fetch: Operation = {
      method: 'tasks/get',
      server,
      tool: 'tasks/get',
      arguments: { taskId: task.taskId },
      rest: {},
      meta: {},
      manner: { era: 'modern', capabilities: {} },
      relation: { kind: 'continues', call: task.call },
      resultOf: task.tool,
    };
    void begin(fetch, SILENT).end.then((ended) => {
      const again = this.#fetching.get(name)?.again;
      this.#fetching.delete(name);
      if (ended.kind === 'result') {
        const state = forwarded({ ...ended.result, ...partsNotInOurName(ended.result) });
        tell({ method, params: { ...state, taskId: name } }, server);
      }
      if (again !== undefined && !isClosed()) this.noticed(server, again);
    });
  }
}
