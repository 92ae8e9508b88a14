// Tasks in results, under the ids by which their owner knows them. A server's ids are its own affair: two servers may use the same.

import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { BoundTasks } from './bound-tasks.ts';
import type { CallEnd } from './client-view.ts';
import type { Operation } from './conversation.ts';

const RELATED_TASK = 'io.modelcontextprotocol/related-task';

export interface OwnerOfTasks {
  readonly agent: string;
  readonly tasks: BoundTasks;
  /** To whom alone the server belongs; undefined where all share it. */
  readonly scope: object | undefined;
}

/**
 * The members of a released result that name a task, where its owner knows it by another id: they replace those of the result. A task that is
 * new is bound to the agent, and what is said of a known one is remembered.
 */
export function renamedTasks(
  operation: Operation,
  { result, type, receipt }: Extract<CallEnd, { kind: 'result' }>,
  { agent, tasks, scope }: OwnerOfTasks,
): JsonObject {
  const { server, tool, method } = operation;
  const nameOf = (taskId: string): string | undefined => {
    const bound = tasks.named(server, taskId, scope);
    return bound?.task.agent === agent ? bound.name : undefined;
  };
  const related = renamedRelation(result, nameOf);
  if (type === 'task') {
    const task = isJsonObject(result.task) ? result.task : result;
    const name = tasks.bind({ server, taskId: String(task.taskId), agent, tool, call: receipt.call, scope }, task);
    if (name === task.taskId) return related;
    return { ...related, ...(task === result ? { taskId: name } : { task: { ...task, taskId: name } }) };
  }
  if (!method.startsWith('tasks/') || typeof result.taskId !== 'string') return related;
  tasks.learn(server, result.taskId, result, scope);
  const name = nameOf(result.taskId);
  return name === undefined || name === result.taskId ? related : { ...related, taskId: name };
}

function renamedRelation({ _meta: meta }: JsonObject, nameOf: (taskId: string) => string | undefined): JsonObject {
  const related = isJsonObject(meta) ? meta[RELATED_TASK] : undefined;
  if (!isJsonObject(related) || typeof related.taskId !== 'string') return {};
  const name = nameOf(related.taskId);
  return name === undefined || name === related.taskId
    ? {}
    : { _meta: { [RELATED_TASK]: { ...related, taskId: name } } };
}
