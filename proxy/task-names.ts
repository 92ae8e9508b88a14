// Tasks in results, under the ids by which their owner knows them. A server's ids are its own affair: two servers may use the same.

import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { BoundTasks } from './bound-tasks.ts';
import type { CallEnd } from './client-view.ts';
import type { Operation } from './conversation.ts';

const RELATED_TASK = 'io.modelcontextprotocol/related-task';

/**
 * The members of a released result that name a task, where its owner knows it by another id: they replace those of the result. A task that is
 * new is bound to the agent, and what is said of a known one is remembered.
 */
export function renamedTasks(
  operation: Operation,
  { result, type, receipt }: Extract<CallEnd, { kind: 'result' }>,
  agent: string,
  tasks: BoundTasks,
): JsonObject {
  const { server, tool, method } = operation;
  const related = renamedRelation(server, result, agent, tasks);
  if (type === 'task') {
    const task = isJsonObject(result.task) ? result.task : result;
    const name = tasks.bind({ server, taskId: String(task.taskId), agent, tool, call: receipt.call }, task);
    if (name === task.taskId) return related;
    return { ...related, ...(task === result ? { taskId: name } : { task: { ...task, taskId: name } }) };
  }
  if (!method.startsWith('tasks/') || typeof result.taskId !== 'string') return related;
  tasks.learn(server, result.taskId, result);
  const name = nameOf(server, result.taskId, agent, tasks);
  return name === undefined || name === result.taskId ? related : { ...related, taskId: name };
}

function renamedRelation(server: string, { _meta: meta }: JsonObject, agent: string, tasks: BoundTasks): JsonObject {
  const related = isJsonObject(meta) ? meta[RELATED_TASK] : undefined;
  if (!isJsonObject(related) || typeof related.taskId !== 'string') return {};
  const name = nameOf(server, related.taskId, agent, tasks);
  return name === undefined || name === related.taskId
    ? {}
    : { _meta: { [RELATED_TASK]: { ...related, taskId: name } } };
}

function nameOf(server: string, taskId: string, agent: string, tasks: BoundTasks): string | undefined {
  const bound = tasks.named(server, taskId);
  return bound?.task.agent === agent ? bound.name : undefined;
}
