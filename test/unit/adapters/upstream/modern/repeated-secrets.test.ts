import { describe, expect, it } from 'vitest';
import { UPSTREAM_LIMITS } from '../../../../../adapters/upstream/limits.ts';
import { OpenRequests } from '../../../../../adapters/upstream/modern/open-requests.ts';
import type { PipeHandlers } from '../../../../../adapters/upstream/ports.ts';
import type { ToolAnswer } from '../../../../../proxy/tool-server.ts';

const SECRET = 'what-we-said-to-be-let-in';

/** Opens a request, lets the server say something, and tells what came of it. */
function outcomeOf(...said: readonly unknown[]) {
  const answers: ToolAnswer[] = [];
  const heard: string[] = [];
  let handlers: PipeHandlers | undefined;
  const pipe = {
    send: () => 'sent' as const,
    agreed: () => undefined,
    abandon: () => undefined,
    close: async () => undefined,
    destroy: (detail: string) => heard.push(`ended: ${detail}`),
  };
  const requests = new OpenRequests<undefined>(
    (given) => {
      handlers = given;
      return pipe;
    },
    UPSTREAM_LIMITS,
    () => 0,
    {
      onNotification: ({ method }) => heard.push(method),
      onRequest: ({ method }) => heard.push(method),
      onLost: (detail) => heard.push(detail),
      onGap: () => undefined,
      onClosed: () => undefined,
    },
    { isIn: (message) => Buffer.from(message).includes(SECRET) },
  );
  requests.send({ bytesMax: 10_000, text: String, use: undefined, settle: (answer) => answers.push(answer) });
  for (const one of said) handlers?.onMessage(new TextEncoder().encode(JSON.stringify(one)));
  return { answers, heard, dropped: requests.dropped };
}

describe('a message of a server of 2026-07-28 that repeats our credential', () => {
  it.each([
    ['a result', { result: { content: [SECRET] } }],
    ['an error', { error: { code: 1, message: SECRET } }],
  ])('as %s costs the request that it answers', (_what, part) => {
    expect(outcomeOf({ jsonrpc: '2.0', id: 1, ...part }).answers).toEqual([
      {
        kind: 'refused',
        code: 'OUTPUT_INVALID',
        detail: 'it wrote a message that repeats our credential',
        bytes: expect.any(Number),
      },
    ]);
  });

  it('as a notification is dropped, and what follows is heard', () => {
    const { answers, heard, dropped } = outcomeOf(
      { jsonrpc: '2.0', method: 'notifications/message', params: { data: SECRET } },
      { jsonrpc: '2.0', method: 'notifications/message', params: {} },
      { jsonrpc: '2.0', id: 1, result: {} },
    );
    expect(heard).toEqual(['notifications/message']);
    expect(dropped.notifications).toBe(1);
    expect(answers.map(({ kind }) => kind)).toEqual(['result']);
  });

  it('as nothing that could be told ends the connection, and is not quoted', () => {
    expect(outcomeOf([SECRET]).heard).toEqual(['ended: it wrote a message that repeats our credential']);
  });
});
