import { describe, expect, it } from 'vitest';
import { Notices } from '../../../proxy/notices.ts';
import { proves } from '../../guarantees.ts';

const NOT_ASKED = { asked: () => undefined, ready: () => {} };

function heardBy(views: readonly (readonly string[])[]) {
  const notices = new Notices();
  const heard = views.map((servers) => {
    const said: string[] = [];
    notices.join({
      sees: (server) => servers.includes(server),
      noticed: (server, { method }) => said.push(`${server} ${method}`),
      ...NOT_ASKED,
    });
    return said;
  });
  return { notices, heard };
}

describe('what a server says unasked', () => {
  proves('G8', 'and is no notice reaches nobody: nothing that belongs to a call, and nothing that nobody knows', () => {
    const { notices, heard } = heardBy([['fs']]);
    for (const method of [
      'notifications/cancelled',
      'notifications/progress',
      'notifications/initialized',
      'notifications/roots/list_changed',
      'notifications/unknown',
      'tools/call',
      'constructor',
    ])
      notices.tell('fs', { method, params: {} });
    expect(heard).toEqual([[]]);
  });

  proves('G9', 'reaches those in whose view it is, and what is about one client only where there is one', () => {
    const { notices, heard } = heardBy([['fs'], ['fs', 'git'], ['git']]);
    notices.tell('fs', { method: 'notifications/prompts/list_changed', params: {} });
    notices.tell('fs', { method: 'notifications/message', params: {} });
    expect(heard).toEqual([['fs notifications/prompts/list_changed'], ['fs notifications/prompts/list_changed'], []]);
    const alone = heardBy([['fs'], ['git']]);
    alone.notices.tell('fs', { method: 'notifications/message', params: {} });
    expect(alone.heard).toEqual([['fs notifications/message'], []]);
  });

  proves('G9', 'reaches one listener alone where the server is its own, whatever it says', () => {
    const notices = new Notices();
    const said: string[] = [];
    const listener = (name: string, sees = true) => ({
      sees: () => sees,
      noticed: (_server: string, { method }: { method: string }) => said.push(`${name} ${method}`),
      ...NOT_ASKED,
    });
    const [one, two, blind] = [listener('one'), listener('two'), listener('blind', false)];
    for (const each of [one, two, blind]) notices.join(each);
    for (const only of [one, blind, {}]) notices.tell('fs', { method: 'notifications/message', params: {} }, only);
    notices.tell('fs', { method: 'notifications/resources/updated', params: {} }, two);
    expect(said).toEqual(['one notifications/message', 'two notifications/resources/updated']);
  });

  it('does not reach those who left', () => {
    const notices = new Notices();
    const said: string[] = [];
    const listener = { sees: () => true, noticed: (server: string) => said.push(server), ...NOT_ASKED };
    notices.join(listener);
    notices.leave(listener);
    notices.tell('fs', { method: 'notifications/tools/list_changed', params: {} });
    expect(said).toEqual([]);
  });
});

describe('what a server asks within no call', () => {
  const answered = { answer: Promise.resolve({ kind: 'result', result: {} } as const), cancel: () => {} };
  const listener = (sees = true) => ({ sees: () => sees, noticed: () => {}, asked: () => answered, ready: () => {} });
  const question = { method: 'roots/list', params: {} };

  proves('G9', 'is put to nobody where several could be meant, and to its owner where it has one', () => {
    const notices = new Notices();
    expect(notices.ask('fs', question)).toBeUndefined();
    const [one, two, blind] = [listener(), listener(), listener(false)];
    notices.join(blind);
    expect(notices.ask('fs', question)).toBeUndefined();
    expect(notices.ask('fs', question, blind)).toBeUndefined();
    notices.join(one);
    expect(notices.ask('fs', question)).toBe(answered);
    notices.join(two);
    expect(notices.ask('fs', question)).toBeUndefined();
    expect(notices.ask('fs', question, two)).toBe(answered);
  });
});
