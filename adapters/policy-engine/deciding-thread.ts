// One deciding thread with one bundle, seen from the gate: started, told what to serve, asked, and given up at the first sign of trouble. After trouble it
// answers nothing more; it is never mended.

// Both are for the process, so they are in force before the thread loads its engine, in whatever order that is loaded there.
import './late-optimisation.ts';
import './no-inlined-wasm.ts';
import { Worker } from 'node:worker_threads';
import type { Problem } from '../../control-plane/policy/source.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Answer, Ask, AuthoritySetup, FromAuthority } from './messages.ts';
import { Patience } from './patience.ts';
import { processorTimeOf } from './processor-time.ts';

export interface ThreadFile {
  readonly url: URL;
  readonly execArgv: readonly string[];
}

export interface ThreadLimits {
  /** Longest silence while an ask could be worked on, in time that the thread had a processor. */
  readonly deadlineMs: number;
  /** Longest time from being told what to serve to ready: compiling the engine and validating the rules. */
  readonly startMs: number;
}

/** Compiling the engine takes up to seconds on a busy machine. */
const LIMITS: ThreadLimits = { deadlineMs: 250, startMs: 30_000 };

/** Where the thread's file lies. From sources, Node 20 needs the tests' loader to read it. */
function threadFile(): ThreadFile {
  if (import.meta.url.endsWith('.js')) return { url: new URL('./authority-worker.js', import.meta.url), execArgv: [] };
  const loader = new URL('../../test/support/typescript.mjs', import.meta.url);
  return { url: new URL('./authority-worker.ts', import.meta.url), execArgv: ['--import', loader.href] };
}

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
  readonly #patience: Patience;
  #onFault: (reason: string) => void = () => {};
  #setup: AuthoritySetup | undefined;
  /** The thread's name for the system, once it has told us that it is there. */
  #task: string | undefined;
  #outbox: Ask[] = [];
  #nextId = 1;
  #timer: NodeJS.Timeout | undefined;
  #state: 'idle' | 'starting' | 'ready' | 'retiring' | 'over' = 'idle';
  #warm = false;
  #settleStart: (started: Started) => void = () => {};
  /** Settles once the thread is ready, or never will be. */
  readonly started: Promise<Started>;

  /** Starts to load; what to serve is told by `begin`. Throws where there can be no thread. */
  constructor(limits: Partial<ThreadLimits> = {}, file: ThreadFile = threadFile()) {
    this.#limits = { ...LIMITS, ...limits };
    const clocks = { now: () => performance.now(), processor: () => processorTimeOf(this.#task) };
    this.#patience = new Patience(this.#limits.deadlineMs, clocks);
    this.started = new Promise((resolve) => {
      this.#settleStart = resolve;
    });
    this.#worker = new Worker(file.url, {
      execArgv: [...file.execArgv],
      // The deciding side needs nothing from the environment, and the environment holds secrets.
      env: {},
      name: 'portcullis-authority',
    });
    this.#worker.on('message', (message: FromAuthority) => this.#received(message));
    this.#worker.on('messageerror', () => this.#fail('an answer could not be read'));
    this.#worker.on('error', (error) => this.#fail(error instanceof Error ? error.message : 'the thread failed'));
    this.#worker.on('exit', (code) => this.#fail(`the thread ended with code ${code}`));
    // After the listeners, because listening takes a reference. While something is asked, its timer keeps the process alive.
    this.#worker.unref();
  }

  /** Says once what to serve, and for all its life. `onFault` is called at most once, and only after the thread was ready and not retired. */
  begin(setup: AuthoritySetup, onFault: (reason: string) => void): void {
    if (this.#state !== 'idle') return;
    this.#state = 'starting';
    this.#onFault = onFault;
    this.#setup = setup;
    this.#timer = setTimeout(() => this.#fail('the thread did not start in time'), this.#limits.startMs);
    this.#sendSetup();
  }

  /** Whether it can still be told what to serve. */
  get idle(): boolean {
    return this.#state === 'idle';
  }

  #sendSetup(): void {
    if (this.#warm && this.#setup !== undefined) this.#worker.postMessage(this.#setup);
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
    if (this.#pending.size === asks.length) this.#patience.heard();
    if (this.#timer === undefined) this.#watch();
  }

  /** One timer for as long as something is pending, however many messages come and go. */
  #watch(): void {
    const ms = this.#patience.next();
    if (ms === undefined) return this.#fail('the thread did not answer in time');
    this.#timer = setTimeout(() => {
      const watched = this.#timer;
      // Answers may be waiting behind this very timer if our own thread was busy: let them in before judging.
      setImmediate(() => {
        if (this.#timer !== watched) return;
        this.#timer = undefined;
        if (this.#pending.size > 0) this.#watch();
      });
    }, ms);
  }

  #unwatch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #received(message: FromAuthority): void {
    if (this.#state === 'over') return;
    this.#patience.heard();
    switch (message.type) {
      case 'warm':
        this.#warm = true;
        this.#task = message.task;
        this.#sendSetup();
        return;
      case 'ready':
        this.#unwatch();
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
