import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { serveStdio } from '../../../../adapters/downstream/stdio.ts';
import { Defect } from '../../../../domain/defect.ts';
import type { ClientSession, Reply } from '../../../../proxy/client-port.ts';
import { EchoSession } from '../../../support/echo-sessions.ts';

const PRINCIPAL = { agent: 'a', roles: [], root: true, authentication: 'local', connection: 'sha256:x' } as const;
const INITIALIZE = '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}';

function call(id: number, name: string, args: unknown = {}): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });
}

function start(
  options: { messageBytesMax?: number; drainMs?: number; outputBytesMax?: number; output?: Writable } = {},
) {
  const session = new EchoSession({ principal: PRINCIPAL }, { kind: 'all' });
  const input = new PassThrough();
  const output = options.output ?? new PassThrough();
  let written = '';
  if (output instanceof PassThrough) {
    output.on('data', (chunk: Buffer) => {
      written += chunk.toString();
    });
  }
  const front = serveStdio({ session, input, ...options, output });
  const answers = (): { id: number | null; error?: unknown; result?: unknown }[] =>
    written
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  const until = async (holds: () => boolean): Promise<void> => {
    for (let turn = 0; !holds(); turn++) {
      if (turn > 1000) throw new Error(`timed out; written: ${written}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  return { session, input, output, front, answers, until, written: () => written };
}

describe('a client on standard input and output', () => {
  it('refuses an oversized line once, hands none of it to the session, and goes on', async () => {
    const { session, input, answers, until } = start({ messageBytesMax: 200 });
    input.write(`${INITIALIZE}\n`);
    for (let part = 0; part < 10; part++) input.write('x'.repeat(100));
    input.write(`\n${call(1, 'echo')}\n`);
    await until(() => answers().length === 3);
    expect(session.refused).toEqual(['MESSAGE_TOO_LARGE']);
    expect(session.received).toEqual([INITIALIZE, call(1, 'echo')]);
  });

  it('refuses to write a message with a line break in it', async () => {
    let reply: Reply = () => {};
    const session: ClientSession = {
      revision: undefined,
      receive: async () => {},
      refuse: async () => {},
      onNotification: (send) => {
        reply = send;
      },
      close: async () => {},
    };
    const output = new PassThrough();
    const front = serveStdio({ session, input: new PassThrough(), output });
    expect(() => reply('{"a":\n1}')).toThrow(Defect);
    expect(output.read()).toBeNull();
    await front.close();
  });

  it('goes on after lines that are not messages', async () => {
    const { input, answers, until } = start();
    input.write(`garbage\n\r\n\n${INITIALIZE}\r\n`);
    await until(() => answers().length === 2);
    expect(answers().map((answer) => answer.id)).toEqual([null, 0]);
  });

  it('answers a later message while an earlier one is still being worked on', async () => {
    const { session, input, answers, until } = start();
    input.write(`${INITIALIZE}\n${call(1, 'slow')}\n${call(2, 'echo')}\n`);
    await until(() => answers().length === 2);
    expect(answers().map((answer) => answer.id)).toEqual([0, 2]);
    session.release();
    await until(() => answers().length === 3);
  });

  it('lets calls in progress finish when the client closes its side, then closes the session', async () => {
    const { session, input, front, answers, until } = start();
    input.end(`${INITIALIZE}\n${call(1, 'slow')}\n${call(2, 'echo')}`);
    await until(() => answers().length === 2);
    expect(session.closedBy).toBeUndefined();
    session.release();
    expect(await front.ended).toBe('client');
    expect(session.closedBy).toBe('client');
    expect(answers().map((answer) => answer.id)).toEqual([0, 2, 1]);
  });

  it('does not wait for ever for calls in progress', async () => {
    const { session, input, front } = start({ drainMs: 20 });
    input.end(`${INITIALIZE}\n${call(1, 'slow')}\n`);
    expect(await front.ended).toBe('client');
    expect(session.closedBy).toBe('client');
  });

  it('closes the session when nobody reads the output any more', async () => {
    const output = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('broken pipe'), { code: 'EPIPE' })),
    });
    const { session, input, front } = start({ output });
    input.write(`${INITIALIZE}\n${call(1, 'slow')}\n`);
    expect(await front.ended).toBe('disconnect');
    expect(session.closedBy).toBe('disconnect');
  });

  it('closes the session when it is told to', async () => {
    const { session, input, front } = start();
    input.write(`${INITIALIZE}\n`);
    await front.close();
    expect(session.closedBy).toBe('shutdown');
    input.write(`${call(1, 'echo')}\n`);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(session.received).toEqual([INITIALIZE]);
  });

  it('cuts off a client that does not read what it is told unasked', async () => {
    const output = new Writable({ highWaterMark: 100, write: () => undefined });
    const { session, front } = start({ output, outputBytesMax: 10_000 });
    for (let said = 0; said < 20; said++) session.notify(JSON.stringify({ text: 'x'.repeat(1_000) }));
    await front.ended;
    expect(output.destroyed).toBe(true);
    expect(session.closedBy).toBe('disconnect');
  });

  it('stops listening while the client does not read, and loses nothing', async () => {
    const waiting: (() => void)[] = [];
    let written = '';
    const output = new Writable({
      highWaterMark: 100,
      write: (chunk: Buffer, _encoding, done) => {
        written += chunk.toString();
        waiting.push(done);
      },
      writev: (chunks, done) => {
        written += chunks.map(({ chunk }) => String(chunk)).join('');
        waiting.push(done);
      },
    });
    const { session, input, front, until } = start({ output });
    input.write(`${INITIALIZE}\n`);
    for (let id = 1; id <= 200; id++) input.write(`${call(id, 'echo', { text: 'x'.repeat(1000) })}\n`);
    await until(() => waiting.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(session.received.length).toBeLessThan(150);
    const reading = setInterval(() => waiting.splice(0).forEach((done) => void done()), 1);
    input.end();
    await front.ended;
    clearInterval(reading);
    expect(written.split('\n').length).toBe(202);
  });

  it('writes messages that belong to no request, and nothing else', async () => {
    const { session, answers, written, until } = start();
    session.notify('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
    await until(() => answers().length === 1);
    expect(written()).toBe('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n');
  });
});
