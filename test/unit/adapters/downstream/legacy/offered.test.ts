import { describe, expect, it } from 'vitest';
import { offered } from '../../../../../adapters/downstream/legacy/offered.ts';
import type { Json, JsonObject } from '../../../../../domain/json.ts';
import { Conversation } from '../../../../../proxy/conversation.ts';
import { SERVED_REVISIONS } from '../../../../../proxy/method-table.ts';
import type { ServerDescription } from '../../../../../proxy/tool-server.ts';
import { proves } from '../../../../guarantees.ts';
import { PRINCIPAL, World } from '../../../../support/gate-world.ts';

const TASKS: JsonObject = { list: {}, cancel: {}, requests: { tools: { call: {} } } };

async function conversing(tasks: Json | undefined, ...hidden: string[]): Promise<Conversation> {
  const world = await World.open();
  const { server } = world;
  const capabilities: JsonObject = { logging: {}, ...(tasks === undefined ? {} : { tasks }) };
  server.description = { ...(server.description as ServerDescription), capabilities };
  world.authority.hidden = new Set(hidden.map((method) => `fs:${method}`));
  world.governance.advanceEpoch();
  return new Conversation(world.enforcement, { principal: PRINCIPAL, view: { kind: 'all' }, onNotice: () => {} });
}

describe('calls as tasks', () => {
  it.each([
    ['has none', undefined],
    ['has none for tools', { list: {}, requests: { sampling: { createMessage: {} } } }],
    ['says it in a way that nobody knows', { requests: { tools: true } }],
    ['says it in a way that nobody knows', []],
  ])('are not offered where the server %s', async (_what, tasks) => {
    expect(await offered(await conversing(tasks as Json), '2025-11-25')).not.toHaveProperty('tasks');
  });

  it.each(SERVED_REVISIONS.filter((revision) => revision !== '2025-11-25'))(
    'are not offered to a client of %s, which has no such word',
    async (revision) => {
      expect(await offered(await conversing(TASKS), revision)).not.toHaveProperty('tasks');
    },
  );

  for (const method of ['tasks/get', 'tasks/result'])
    proves('G9', `are not offered where no rule could ever allow ${method}`, async () => {
      expect(await offered(await conversing(TASKS, method), '2025-11-25')).not.toHaveProperty('tasks');
    });

  it('are offered beside what else there is', async () => {
    expect(await offered(await conversing(TASKS), '2025-11-25')).toEqual({
      tools: { listChanged: true },
      logging: {},
      tasks: TASKS,
    });
  });

  it('are offered without their cancellation where no rule could ever allow that', async () => {
    const { cancel: _, ...others } = TASKS;
    expect((await offered(await conversing(TASKS, 'tasks/cancel'), '2025-11-25')).tasks).toEqual(others);
  });
});
