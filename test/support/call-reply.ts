// The reply to a tools/call of a client of the older revisions, for tests that look at its words.

import { callReply } from '../../adapters/downstream/legacy/call-reply.ts';
import { BoundTasks } from '../../proxy/bound-tasks.ts';
import type { CallEnd, OperatorHints } from '../../proxy/client-view.ts';
import type { Operation } from '../../proxy/conversation.ts';
import { PLAIN_MANNER } from '../../proxy/tool-server.ts';
import { PRINCIPAL } from './gate-world.ts';

export function toolCallReply(id: string | number, name: string, end: CallEnd, hints: OperatorHints): string {
  const said = { arguments: {}, rest: {}, meta: {}, manner: PLAIN_MANNER };
  const operation: Operation = { method: 'tools/call', server: 'fs', tool: name, ...said };
  const surroundings = { hints, owner: { agent: PRINCIPAL.agent, tasks: new BoundTasks(), scope: undefined } };
  return callReply({ id, params: { name } }, operation, end, surroundings);
}
