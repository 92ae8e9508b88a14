// One deciding thread with one bundle, seen from the gate: started, asked, and given up at the first sign of trouble. After trouble it
// answers nothing more; it is never mended.

import { Worker } from 'node:worker_threads';
import type { Problem } from '../../control-plane/policy/source.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Answer, Ask, AuthoritySetup, FromAuthority } from './messages.ts';

export interface ThreadFile {
  readonly url: URL;
  readonly execArgv: readonly string[];
}

export interface ThreadLimits {
  /** Longest silence while an ask could be worked on, in time that the process had a processor. */
  readonly deadlineMs: number;
  /** Longest time from start to ready: compiling the engine and validating the rules. */
  readonly startMs: number;
}

/** How many times the deadline may pass on the clock while the process hardly runs, or waits for the file system. */
const STARVED_FACTOR = 10;

export type Started =
  | { readonly outcome: 'ready'; readonly digest: Digest }
  | { readonly outcome: 'refused'; readonly problems: readonly Problem[] }
  | { readonly outcome: 'failed'; readonly reason: string };

/** An ask without its number. */
export type Question = Ask extends infer A ? (A extends Ask ? Omit<A, 'id'> : never) : never;

type Pending = (answer: Answer | undefined) => void;

export class DecidingThread {
  readonly #worker: Worker;
  readonly #limits: ThreadLimits;
  readonly #pending = new Map<number, Pending>();
  readonly #onFault: (reason: string) => void;
  #outbox: Ask[] = [];
  #nextId = 1;
  #timer: NodeJS.Timeout | undefined;
  #state: 'starting' | 'ready' | 'retiring' | 'over' = 'starting';
  #settleStart: (started: Started) => void = () => {};
  /** Settles once the thread is ready, or never will be. */
  readonly started: Promise<Started>;

  /** `onFault` is called at most once, and only for a thread that was ready and not retired. */
  constructor(file: ThreadFile, setup: AuthoritySetup, limits: ThreadLimits, onFault: (reason: string) => void) {
    this.#limits = limits;
    this.#onFault = onFault;
    this.started = new Promise((resolve) => {
      this.#settleStart = resolve;
    });
    this.#worker = new Worker(file.url, {
      workerData: setup,
      execArgv: [...file.execArgv],
      // The deciding side needs nothing from the environment, and the environment holds secrets.
      env: {},
      name: 'portcullis-authority',
    });
    this.#worker.unref();
    this.#worker.on('message', (message: FromAuthority) => this.#received(message));
    this.#worker.on('messageerror', () => this.#fail('an answer could not be read'));
    this.#worker.on('error', (error) => this.#fail(error instanceof Error ? error.message : 'the thread failed'));
    this.#worker.on('exit', (code) => this.#fail(`the thread ended with code ${code}`));
    this.#timer = setTimeout(() => this.#fail('the thread did not start in time'), limits.startMs);
  }

  /** Whether it still takes asks. */
  get alive(): boolean {
    return this.#state === 'ready';
  }

  /** The answer, or undefined when the thread failed or is over. Never rejects. */
  ask(question: Question): Promise<Answer | undefined> {
    if (this.#state !== 'ready') return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const id = this.#nextId++;
      this.#pending.set(id, resolve);
      this.#outbox.push({ ...question, id });
      // Everything asked in this turn of the event loop goes in one message.
      if (this.#outbox.length === 1) setImmediate(() => this.#post());
    });
  }

  /** No new asks; ends when the old ones are answered. */
  retire(): void {
    if (this.#state === 'ready') this.#state = 'retiring';
    this.#endIfDone();
  }

  /** Ends at once; what is pending is not answered. */
  async close(): Promise<void> {
    this.#end('closed');
    await this.#worker.terminate();
  }

  #post(): void {
    if (this.#state === 'over' || this.#outbox.length === 0) return;
    const asks = this.#outbox;
    this.#outbox = [];
    try {
      this.#worker.postMessage(asks);
    } catch {
      // Only our own types are sent; what cannot be cloned must not be decided.
      this.#fail('an ask could not be sent');
      return;
    }
    if (this.#timer === undefined) this.#watch();
  }

  /**
   * Restarts with every message received: the thread answers in order, so silence means that the first pending ask takes this long. Time in
   * which nobody let this process run does not count, up to a bound: a busy machine is no fault of the thread.
   */
  #watch(): void {
    const since = performance.now();
    const processorSince = process.cpuUsage();
    const { deadlineMs } = this.#limits;
    const wait = (ms: number): void => {
      this.#timer = setTimeout(() => {
        const watched = this.#timer;
        // Answers may be waiting behind this very timer if our own thread was busy: let them in before judging.
        setImmediate(() => {
          if (this.#timer !== watched) return;
          const { user, system } = process.cpuUsage(processorSince);
          const left = deadlineMs - (user + system) / 1000;
          if (left <= 0 || performance.now() - since >= deadlineMs * STARVED_FACTOR) {
            this.#fail('the thread did not answer in time');
          } else {
            wait(Math.max(left, 10));
          }
        });
      }, ms);
    };
    wait(deadlineMs);
  }

  #unwatch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #received(message: FromAuthority): void {
    if (this.#state === 'over') return;
    this.#unwatch();
    switch (message.type) {
      case 'ready':
        this.#state = 'ready';
        this.#settleStart({ outcome: 'ready', digest: message.digest });
        return;
      case 'refused':
        this.#settleStart({ outcome: 'refused', problems: message.problems });
        this.#end('refused');
        void this.#worker.terminate();
        return;
      case 'answers':
        for (const answer of message.answers) {
          const pending = this.#pending.get(answer.id);
          this.#pending.delete(answer.id);
          pending?.(answer);
        }
        if (this.#pending.size > 0) this.#watch();
        this.#endIfDone();
        return;
    }
  }

  #endIfDone(): void {
    if (this.#state !== 'retiring' || this.#pending.size > 0) return;
    this.#end('retired');
    void this.#worker.terminate();
  }

  #fail(reason: string): void {
    const wasReady = this.#state === 'ready';
    if (this.#state === 'over') return;
    this.#end(reason);
    void this.#worker.terminate();
    if (wasReady) this.#onFault(reason);
  }

  #end(reason: string): void {
    this.#state = 'over';
    this.#unwatch();
    this.#outbox = [];
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#settleStart({ outcome: 'failed', reason });
    for (const resolve of pending) resolve(undefined);
  }
}
