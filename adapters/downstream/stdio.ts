// A client on standard input and output: one JSON text a line, both ways. Nothing but protocol is ever written to the output.
// Messages are handled side by side; the order of the answers is the order in which they are ready.

import type { Readable, Writable } from 'node:stream';
import { Defect } from '../../domain/defect.ts';
import type { ClientSession, CloseReason } from '../../proxy/client-port.ts';
import { CALLS_IN_FLIGHT_PER_SESSION_MAX, DRAIN_MS, MESSAGE_BYTES_MAX } from '../../proxy/limits.ts';
import { Lines } from './lines.ts';

/** Messages handled at once. Above the calls of one session, so that a cancellation still gets through when those are used up. */
const IN_PROGRESS_MAX = 2 * CALLS_IN_FLIGHT_PER_SESSION_MAX;

export interface StdioOptions {
  readonly session: ClientSession;
  readonly input: Readable;
  readonly output: Writable;
  readonly messageBytesMax?: number;
  /** How long calls in progress may go on after the client has closed its side. */
  readonly drainMs?: number;
  /** What may wait for a client that does not read; it is cut off then. Unbounded where whoever started us is the client. */
  readonly outputBytesMax?: number;
}

export interface StdioFront {
  /** Resolves when the conversation is over and everything written has left. Never rejects. */
  readonly ended: Promise<CloseReason>;
  /** Ends the conversation now: calls in progress are cancelled. */
  close(): Promise<void>;
}

/** Serves one client until it closes its side, its reading end breaks, or `close` is called. */
export function serveStdio(options: StdioOptions): StdioFront {
  const { session, input, output, messageBytesMax = MESSAGE_BYTES_MAX, drainMs = DRAIN_MS } = options;
  const { outputBytesMax = Number.POSITIVE_INFINITY } = options;
  const inProgress = new Set<Promise<void>>();
  let open = true;
  let outputBroken = false;
  let corked = false;
  let outputFull = false;

  // What waits for a client that does not read, or asks faster than we answer, stays bounded: we stop listening until it catches up.
  const listen = (): void => {
    if (!open) return;
    if (outputFull || inProgress.size >= IN_PROGRESS_MAX) input.pause();
    else if (input.isPaused()) input.resume();
  };

  const send = (json: string): void => {
    // A line break inside a message would let its author write messages of his own.
    if (json.includes('\n')) throw new Defect('a message on a transport of lines contains a line break');
    if (outputBroken) return;
    if (!corked) {
      // What is said in one turn of the loop leaves in one write.
      corked = true;
      output.cork();
      process.nextTick(() => {
        corked = false;
        output.uncork();
      });
    }
    if (output.write(`${json}\n`)) return;
    outputFull = true;
    listen();
    if (output.writableLength > outputBytesMax) output.destroy();
  };

  const track = (work: Promise<void>): void => {
    inProgress.add(work);
    if (inProgress.size >= IN_PROGRESS_MAX) listen();
    void work.finally(() => {
      inProgress.delete(work);
      listen();
    });
  };

  const lines = new Lines(messageBytesMax, {
    onLine: (line) => track(session.receive(line, send)),
    onTooLarge: (bytes) => track(session.refuse('MESSAGE_TOO_LARGE', `a line of ${bytes} bytes`, send)),
  });
  const onData = (chunk: Buffer): void => lines.push(chunk);
  const onDrain = (): void => {
    outputFull = false;
    listen();
  };

  let settle: (reason: CloseReason) => void = () => {};
  const ended = new Promise<CloseReason>((resolve) => {
    settle = resolve;
  });

  const finish = async (reason: CloseReason): Promise<void> => {
    if (!open) return;
    open = false;
    input.off('data', onData);
    output.off('drain', onDrain);
    input.pause();
    // The client said that no more will come, not that it stopped listening.
    if (reason === 'client') await settledWithin(inProgress, drainMs);
    await session.close(reason);
    await settledWithin(inProgress, drainMs);
    if (!outputBroken) await flushed(output, drainMs);
    settle(reason);
  };

  session.onNotification((json) => {
    if (open) send(json);
  });
  output.on('drain', onDrain);
  output.on('error', () => {
    outputBroken = true;
    void finish('disconnect');
  });
  output.on('close', () => {
    outputBroken = true;
    void finish('disconnect');
  });
  input.on('data', onData);
  input.on('end', () => {
    if (open) lines.end();
    void finish('client');
  });
  input.on('error', () => void finish('disconnect'));
  input.on('close', () => void finish('disconnect'));

  return {
    ended,
    async close() {
      await finish('shutdown');
      await ended;
    },
  };
}

async function settledWithin(work: ReadonlySet<Promise<void>>, ms: number): Promise<void> {
  if (work.size === 0) return;
  await within(Promise.allSettled(work), ms);
}

/** Resolves when everything written so far has been handed to the operating system. */
async function flushed(output: Writable, ms: number): Promise<void> {
  if (output.writableLength === 0 || output.destroyed) return;
  const written = new Promise<void>((resolve) => {
    output.write('', () => resolve());
  });
  await within(written, ms);
}

async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
