// One client on one WebSocket: a text frame is a message, both ways. What breaks a rule of the transport ends the connection with the code
// that says so, and is recorded where it was about a message. Compression is off: a few bytes cannot become many.

import type { WebSocket } from 'ws';
import { Defect } from '../../../domain/defect.ts';
import type { DenialCode } from '../../../domain/denial.ts';
import type { ClientSession, CloseReason, Reply } from '../../../proxy/client-port.ts';
import { CALLS_IN_FLIGHT_PER_SESSION_MAX } from '../../../proxy/limits.ts';

/** RFC 6455 section 7.4.1. */
export const CLOSE = { goingAway: 1001, notText: 1003, violation: 1008, defect: 1011 } as const;

/** Messages handled at once. Above the calls of one session, so that a cancellation still gets through when those are used up. */
const IN_PROGRESS_MAX = 2 * CALLS_IN_FLIGHT_PER_SESSION_MAX;

/** One may be late because we were: after a standstill of ours its answer is read after the next beat. */
const PINGS_UNANSWERED_MAX = 2;

/** More than control frames bring in between two beats: whoever sent so much has begun a message. */
const BEGUN_BYTES = 4_096;

/** Beats that a message may take to come in, from the one that finds it begun: one interval at least. */
const BEATS_OF_MESSAGE_MAX = 2;

/** From our close frame to the end of the connection, whatever the client does. */
const CLOSE_GRACE_MS = 1_000;

/** What the library says of a frame that it refuses, in our codes. */
const REFUSED_FRAMES: Readonly<Record<string, DenialCode>> = {
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 'MESSAGE_TOO_LARGE',
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 'MESSAGE_TOO_LARGE',
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 'MESSAGE_MALFORMED',
};

export interface SocketClientOptions {
  readonly socket: WebSocket;
  readonly session: ClientSession;
  /** What the connection has brought in so far. */
  readonly bytesRead: () => number;
  /** How much may wait for a client that does not read. */
  readonly bufferBytesMax: number;
  readonly drainMs: number;
  /** What should not have been possible. The connection is closed by then. */
  readonly onDefect: (error: unknown) => void;
}

export class SocketClient {
  /** Resolves when the connection and the conversation are over. */
  readonly ended: Promise<void>;
  readonly #options: SocketClientOptions;
  readonly #inProgress = new Set<Promise<void>>();
  /** Messages that wait for others to be answered: no more than one packet holds. */
  readonly #behind: Buffer[] = [];
  /** Nothing more is taken from the client. */
  #deaf = false;
  /** Pings since we last heard anything. */
  #unanswered = 0;
  /** Beats since one found that a message had been begun and had not come. */
  #unfinished = 0;
  #bytesRead = 0;
  #isAnsweringPing = false;
  /** To be answered when the answer before it has left. */
  #latestPing: Buffer | undefined;
  #finished: Promise<void> | undefined;

  constructor(options: SocketClientOptions) {
    this.#options = options;
    const { socket, session } = options;
    session.onNotification(this.#send);
    socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary)); // `nodebuffer` is the library's default.
    socket.on('ping', (data) => this.#answerPing(data));
    socket.on('pong', () => this.#heard());
    socket.on('error', (error) => this.#refuseFrame(error));
    this.ended = new Promise((resolve) => {
      socket.on('close', () => {
        this.#deaf = true;
        void this.#finish('disconnect').then(resolve);
      });
    });
  }

  /**
   * Called from time to time. A client that leaves two pings unanswered is gone, or holds back the rest of a frame; one that answers may
   * still hold back the last frame of a message.
   */
  beat(): void {
    const { socket, bytesRead } = this.#options;
    // While we do not read, its answers wait as well.
    if (this.#deaf || socket.isPaused) return;
    const came = bytesRead() - this.#bytesRead;
    this.#bytesRead += came;
    if (this.#unfinished > 0 || came > BEGUN_BYTES) this.#unfinished++;
    if (this.#unfinished > BEATS_OF_MESSAGE_MAX) return this.#end(CLOSE.violation, 'a message without an end');
    if (this.#unanswered >= PINGS_UNANSWERED_MAX) return this.#end(CLOSE.violation, 'no answer to a ping');
    this.#unanswered++;
    socket.ping();
  }

  close(): Promise<void> {
    return this.#leave('shutdown', CLOSE.goingAway, 'the gate is closing');
  }

  /** The credential that opened the connection proves nobody any more. That is recorded; what was begun with it may still finish. */
  async expire(): Promise<void> {
    if (this.#deaf) return;
    await this.#refuse('ID_UNAUTHENTICATED', 'the credential that opened the connection has ended', () => {});
    await this.#leave('disconnect', CLOSE.violation, 'the credential has ended');
  }

  /** Takes nothing more, lets what is in progress finish for a while, then ends. */
  async #leave(reason: CloseReason, code: number, said: string): Promise<void> {
    this.#deaf = true;
    this.#options.socket.pause();
    await this.#settled();
    await this.#finish(reason);
    // What was cancelled just now is being answered.
    await this.#settled();
    this.#end(code, said);
    await this.ended;
  }

  #receive(data: Buffer, isBinary: boolean): void {
    this.#heard();
    this.#unfinished = 0;
    this.#bytesRead = this.#options.bytesRead();
    if (this.#deaf) return;
    if (isBinary) {
      void this.#refuse('MESSAGE_MALFORMED', `a binary frame of ${data.length} bytes`).then(() =>
        this.#end(CLOSE.notText, 'messages are text'),
      );
      return;
    }
    // What had come in before we stopped reading.
    if (this.#inProgress.size >= IN_PROGRESS_MAX) this.#behind.push(data);
    else this.#track(this.#options.session.receive(data, this.#send));
  }

  #refuseFrame(error: Error & { readonly code?: string }): void {
    // The library has begun to close with the code for it; without a code of its own it was the network that failed.
    if (this.#deaf || error.code?.startsWith('WS_ERR_') !== true) return;
    void this.#refuse(REFUSED_FRAMES[error.code] ?? 'MESSAGE_MALFORMED', error.message);
    this.#terminateLater();
  }

  /** Records the refusal and hears nothing more. */
  async #refuse(code: DenialCode, detail: string, reply: Reply = this.#send): Promise<void> {
    this.#deaf = true;
    const refused = this.#options.session.refuse(code, detail, reply);
    this.#track(refused);
    await refused.catch(() => {});
  }

  #track(work: Promise<void>): void {
    const { socket, onDefect } = this.#options;
    const tracked = work.catch((error: unknown) => {
      // A session never rejects unless we are wrong. The client must not wait for that.
      this.#end(CLOSE.defect, 'internal error');
      onDefect(error);
    });
    this.#inProgress.add(tracked);
    if (this.#inProgress.size >= IN_PROGRESS_MAX) socket.pause();
    void tracked.finally(() => {
      this.#inProgress.delete(tracked);
      const next = this.#deaf ? undefined : this.#behind.shift();
      if (next !== undefined) return this.#track(this.#options.session.receive(next, this.#send));
      if (!socket.isPaused || this.#deaf) return;
      this.#heard();
      socket.resume();
    });
  }

  readonly #send = (json: string): void => {
    const { socket, bufferBytesMax } = this.#options;
    if (json.includes('\n')) throw new Defect('a message contains a line break');
    if (socket.readyState !== socket.OPEN) return;
    socket.send(json);
    // A client that does not read is cut off rather than kept in memory.
    if (socket.bufferedAmount > bufferBytesMax) this.#end(CLOSE.violation, 'too slow');
  };

  #heard(): void {
    this.#unanswered = 0;
  }

  /** One answer is on its way at a time, and then the latest ping is answered (RFC 6455 section 5.5.3): a flood of them piles nothing up. */
  #answerPing(data: Buffer): void {
    this.#heard();
    const { socket } = this.#options;
    if (socket.readyState !== socket.OPEN) return;
    if (this.#isAnsweringPing) {
      this.#latestPing = data;
      return;
    }
    this.#isAnsweringPing = true;
    socket.pong(data, false, () => {
      this.#isAnsweringPing = false;
      const latest = this.#latestPing;
      this.#latestPing = undefined;
      if (latest !== undefined) this.#answerPing(latest);
    });
  }

  #finish(reason: CloseReason): Promise<void> {
    this.#finished ??= this.#options.session.close(reason).catch(this.#options.onDefect);
    return this.#finished;
  }

  #end(code: number, reason: string): void {
    const { socket } = this.#options;
    this.#deaf = true;
    // The client's own close frame is to be read.
    if (socket.isPaused) socket.resume();
    socket.close(code, reason);
    this.#terminateLater();
  }

  #terminateLater(): void {
    setTimeout(() => this.#options.socket.terminate(), CLOSE_GRACE_MS).unref();
  }

  async #settled(): Promise<void> {
    if (this.#inProgress.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#options.drainMs);
    });
    await Promise.race([Promise.all(this.#inProgress), late]);
    clearTimeout(timer);
  }
}
