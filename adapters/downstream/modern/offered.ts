// What this gate says about itself to a client that asks: the union of what its servers can do, as far as rules could ever allow it.

import { actionId } from '../../../domain/action.ts';
import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import type { Conversation } from '../../../proxy/conversation.ts';
import { MODERN_REVISION } from '../../../proxy/method-table.ts';
import { UNCACHED } from './call-reply.ts';
import { TASKS_EXTENSION } from './protocol.ts';

export async function discovered(conversation: Conversation, identity: JsonObject): Promise<JsonObject> {
  const capabilities = await conversation.capabilities();
  const instructions = await conversation.instructions();
  const extensions = (await offersTasks(conversation)) ? { extensions: { [TASKS_EXTENSION]: {} } } : {};
  return {
    supportedVersions: [MODERN_REVISION],
    capabilities: { ...capabilities, ...extensions },
    ...(instructions === undefined ? {} : { instructions }),
    ...UNCACHED,
    resultType: 'complete',
    _meta: identity,
  };
}

/** Whether a server in the view leaves tasks behind that this client could ask for. */
async function offersTasks(conversation: Conversation): Promise<boolean> {
  const { gate, principal } = conversation;
  const visible = await gate.visible(principal);
  const servers = await conversation.servers();
  return servers.some((server) => {
    const extensions = gate.description(server)?.capabilities.extensions;
    const has = extensions !== undefined && isJsonObject(extensions) && isJsonObject(extensions[TASKS_EXTENSION]);
    return has && visible.has(actionId('tasks/get', server, 'tasks/get'));
  });
}
