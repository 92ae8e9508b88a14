// What this gate says that it can do to a client of the older revisions. That calls of tools can be made as tasks is said in the one revision that
// has them, where a server does and rules could ever allow to ask for what they come to; which tools are meant, each tool says by itself.

import { actionId } from '../../../domain/action.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import type { Conversation } from '../../../proxy/conversation.ts';
import type { ServedRevision } from '../../../proxy/method-table.ts';

const TASKS_REVISION: ServedRevision = '2025-11-25';

export async function offered(conversation: Conversation, revision: ServedRevision): Promise<JsonObject> {
  const capabilities = await conversation.capabilities();
  const tasks = revision === TASKS_REVISION ? await offeredTasks(conversation) : undefined;
  return tasks === undefined ? capabilities : { ...capabilities, tasks };
}

/** Undefined where there are none. A list is always there: it is our own. */
async function offeredTasks(conversation: Conversation): Promise<JsonObject | undefined> {
  const { gate, principal } = conversation;
  const visible = await gate.visible(principal);
  const servers = await conversation.servers();
  const able = servers.filter((server) => {
    const may = (method: 'tasks/get' | 'tasks/result') => visible.has(actionId(method, server, method));
    return takesCalls(gate.description(server)?.capabilities.tasks) && may('tasks/get') && may('tasks/result');
  });
  if (able.length === 0) return undefined;
  const canCancel = able.some((server) => visible.has(actionId('tasks/cancel', server, 'tasks/cancel')));
  return { list: {}, ...(canCancel ? { cancel: {} } : {}), requests: { tools: { call: {} } } };
}

function takesCalls(tasks: Json | undefined): boolean {
  const requests = memberOf(tasks, 'requests');
  return isJsonObject(memberOf(memberOf(requests, 'tools'), 'call') ?? null);
}

function memberOf(value: Json | undefined, name: string): Json | undefined {
  return value !== undefined && isJsonObject(value) ? value[name] : undefined;
}
