// From the words on the wire, in which both eras agree here, to what is to be governed: whose it is, what rules decide about, and what is
// passed on as it came. Members that no revision knows are passed on too: the server is the one to judge them.

import { readScope } from '../control-plane/lineage/scope.ts';
import type { GovernedMethod } from '../domain/action.ts';
import { type Denial, deny } from '../domain/denial.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { Conversation, Operation } from './conversation.ts';
import { forwardedMeta } from './forwarded-meta.ts';
import { LINEAGE_KEY, SCOPE_KEY } from './own-name.ts';
import type { Manner } from './tool-server.ts';

export interface GovernedRequest {
  readonly method: string;
  readonly params: JsonObject | undefined;
}

/** Answers and state of an earlier round: no rule decides about them, the permit binds them. */
const OF_ROUNDS = ['inputResponses', 'requestState'];

/** Reads a request whose method is governed. A refusal where it does not say enough to be decided. */
export async function operationOf(
  conversation: Conversation,
  request: GovernedRequest,
  manner: Manner,
): Promise<Operation | Denial> {
  const method = request.method as GovernedMethod;
  const { _meta: said = {}, ...all } = request.params ?? {};
  if (!isJsonObject(said)) return deny('MESSAGE_MALFORMED', '_meta is not an object');
  const { [LINEAGE_KEY]: token, [SCOPE_KEY]: scope } = said;
  if (token !== undefined && typeof token !== 'string') return deny('MESSAGE_MALFORMED', `${LINEAGE_KEY} is no text`);
  const narrowing = scope === undefined ? undefined : readScope(scope);
  if (scope !== undefined && narrowing === undefined) return deny('MESSAGE_MALFORMED', `${SCOPE_KEY} is no scope`);
  if (token !== undefined) await conversation.gate.expected(token, conversation.principal);
  const meta = without(forwardedMeta(said), (key) => key === 'progressToken');
  const params = without(all, (key) => OF_ROUNDS.includes(key));
  const rest = without(all, (key) => !OF_ROUNDS.includes(key));
  const common = { method, tool: method, rest, meta, manner, token, narrowing } as const;
  switch (method) {
    case 'tools/call': {
      const { name, arguments: args = {}, ...further } = params;
      if (typeof name !== 'string') return deny('MESSAGE_MALFORMED', 'no tool name');
      if (!isJsonObject(args)) return deny('MESSAGE_MALFORMED', 'arguments are not an object');
      const target = conversation.named(name);
      return { ...common, server: target.server, tool: target.name, arguments: args, rest: { ...further, ...rest } };
    }
    case 'prompts/get': {
      if (typeof params.name !== 'string') return deny('MESSAGE_MALFORMED', 'no prompt name');
      const target = conversation.named(params.name);
      return { ...common, server: target.server, arguments: { ...params, name: target.name } };
    }
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe': {
      if (typeof params.uri !== 'string') return deny('MESSAGE_MALFORMED', 'no uri');
      return { ...common, server: await conversation.holderOf(params.uri), arguments: params };
    }
    case 'completion/complete': {
      const { ref } = params;
      if (!isJsonObject(ref)) return deny('MESSAGE_MALFORMED', 'no ref');
      if (typeof ref.name === 'string') {
        const target = conversation.named(ref.name);
        return { ...common, server: target.server, arguments: { ...params, ref: { ...ref, name: target.name } } };
      }
      if (typeof ref.uri !== 'string') return deny('MESSAGE_MALFORMED', 'a ref without name and uri');
      return { ...common, server: await conversation.holderOf(ref.uri), arguments: params };
    }
    case 'tasks/get':
    case 'tasks/result':
    case 'tasks/update':
    case 'tasks/cancel': {
      const task = typeof params.taskId === 'string' ? conversation.task(params.taskId) : undefined;
      if (task === undefined) return deny('TOOL_UNKNOWN', 'no such task of this agent');
      const answers = method === 'tasks/update' ? rest : {};
      const target = { server: task.server, arguments: { ...params, taskId: task.taskId }, resultOf: task.tool };
      return { ...common, ...target, rest: answers };
    }
    default:
      return deny('MESSAGE_DIRECTION', method);
  }
}

function without(object: JsonObject, isLeftOut: (key: string) => boolean): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !isLeftOut(key)));
}
