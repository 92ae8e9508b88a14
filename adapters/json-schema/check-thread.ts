// One thread that checks values against schemas, seen from the gate: asked one thing at a time, each with its own time. What takes longer is denied, the
// thread is ended in the middle of it, and another one goes on with the rest. It never rejects, and it does not judge whose fault it was.

import { Worker } from 'node:worker_threads';
import { type Denial, deny } from '../../domain/denial.ts';
import { Patience } from '../policy-engine/patience.ts';
import { processorTimeOf } from '../policy-engine/processor-time.ts';
import type { FromCheckThread, SchemaKind, ToCheckThread } from './check-messages.ts';
import type { ToolSchemas } from './tool-schemas.ts';

export interface CheckBudget {
  /** Of the processor, for one value. */
  readonly checkMs: number;
  /** The same for making a schema ready, once. */
  readonly compileMs: number;
  /** From the start of a thread to its first word. */
  readonly startMs: number;
}

export const CHECK_BUDGET: CheckBudget = { checkMs: 200, compileMs: 1_000, startMs: 30_000 };

/** Values that wait. Beyond that nobody would wait for the answer any more. */
const WAITING_MAX = 2_048;

export interface CheckFile {
  readonly url: URL;
  readonly execArgv: readonly string[];
}

/** Where the thread's file lies. From sources, Node 20 needs the tests' loader to read it. */
function checkFile(): CheckFile {
  if (import.meta.url.endsWith('.js')) return { url: new URL('./check-worker.js', import.meta.url), execArgv: [] };
  const loader = new URL('../../test/support/typescript.mjs', import.meta.url);
  return { url: new URL('./check-worker.ts', import.meta.url), execArgv: ['--import', loader.href] };
}

/** `failed`: nobody could look at it; `overran`: it took longer than anything may. */
export type Checked =
  | { readonly outcome: 'checked'; readonly denial: Denial | undefined }
  | { readonly outcome: 'failed' | 'overran'; readonly denial: Denial };

interface Waiting {
  readonly kind: SchemaKind;
  readonly action: string;
  readonly json: string;
  readonly settle: (checked: Checked) => void;
}

export class CheckThread {
  readonly #budget: CheckBudget;
  readonly #file: CheckFile;
  #tools: ReadonlyMap<string, ToolSchemas> = new Map();
  #worker: Worker | undefined;
  #task: string | undefined;
  #warm = false;
  #waiting: Waiting[] = [];
  #current: Waiting | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(budget: CheckBudget = CHECK_BUDGET, file: CheckFile = checkFile()) {
    this.#budget = budget;
    this.#file = file;
  }

  /** Which schemas there are from now on. */
  serve(tools: ReadonlyMap<string, ToolSchemas>): void {
    this.#tools = tools;
    this.#send({ type: 'tools', tools: [...tools] });
  }

  /** Loads ahead of the first value. */
  warm(): void {
    if (!this.#closed && this.#worker === undefined) this.#start();
  }

  check(kind: SchemaKind, action: string, json: string): Promise<Checked> {
    if (this.#closed || this.#waiting.length >= WAITING_MAX) return Promise.resolve(failed(kind, 'nobody is there to'));
    return new Promise((settle) => {
      this.#waiting.push({ kind, action, json, settle });
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#giveUp('failed', 'the gate ends');
    for (const { kind, settle } of this.#waiting.splice(0)) settle(failed(kind, 'the gate ends'));
  }

  #next(): void {
    if (this.#current !== undefined || this.#closed) return;
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#current = next;
    this.#waiting.shift();
    this.warm();
    // What waits for a thread to load has its own time only when that is done.
    if (this.#warm) this.#begin(next);
  }

  #begin({ kind, action, json }: Waiting): void {
    this.#send({ type: 'check', kind, action, json });
    this.#allow(this.#budget.compileMs);
  }

  #start(): void {
    this.#warm = false;
    this.#task = undefined;
    let worker: Worker;
    try {
      worker = new Worker(this.#file.url, {
        execArgv: [...this.#file.execArgv],
        env: {},
        name: 'portcullis-schemas',
        // A schema or a value that wants more ends its thread and nothing else.
        resourceLimits: { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 },
      });
    } catch {
      // Nobody may be called in the call that asks.
      setImmediate(() => void this.#giveUp('failed', 'there is no thread to'));
      return;
    }
    this.#worker = worker;
    const gone = (reason: string): void => {
      // Whoever dies over a value died of it.
      if (this.#worker === worker) void this.#giveUp(this.#warm ? 'overran' : 'failed', reason);
    };
    worker.on('message', (message: FromCheckThread) => {
      if (this.#worker === worker) this.#received(message);
    });
    worker.on('messageerror', () => gone('its answer could not be read'));
    worker.on('error', (error) => gone(error instanceof Error ? error.message : 'the thread failed'));
    worker.on('exit', () => gone('the thread ended'));
    worker.unref();
    this.#timer = setTimeout(() => gone('the thread did not start in time'), this.#budget.startMs);
    if (this.#current === undefined) this.#timer.unref();
    this.#send({ type: 'tools', tools: [...this.#tools] });
  }

  #received(message: FromCheckThread): void {
    switch (message.type) {
      case 'warm':
        clearTimeout(this.#timer);
        this.#warm = true;
        this.#task = message.task;
        if (this.#current !== undefined) this.#begin(this.#current);
        return;
      case 'compiled':
        return this.#allow(this.#budget.checkMs);
      case 'checked':
        return this.#settle({ outcome: 'checked', denial: message.denial });
    }
  }

  /** From now on so much time of the processor; on a machine that has none to give, ten times that on the clock. */
  #allow(ms: number): void {
    clearTimeout(this.#timer);
    const clocks = { now: () => performance.now(), processor: () => processorTimeOf(this.#task) };
    const patience = new Patience(ms, clocks);
    const wait = (): void => {
      const more = patience.next();
      if (more === undefined) return void this.#giveUp('overran', `it took more than ${ms} ms`);
      const timer = setTimeout(() => {
        // The answer may be waiting behind this very timer if our own thread was busy: it is let in before judging.
        setImmediate(() => {
          if (this.#timer === timer) wait();
        });
      }, more);
      this.#timer = timer;
    };
    wait();
  }

  #settle(checked: Checked): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const current = this.#current;
    this.#current = undefined;
    current?.settle(checked);
    this.#next();
  }

  /** What is being checked is denied, the thread is ended, and the rest goes on in another one. */
  async #giveUp(outcome: 'failed' | 'overran', reason: string): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#warm = false;
    const kind = this.#current?.kind ?? 'output';
    this.#settle({ ...failed(kind, reason), outcome });
    await worker?.terminate();
  }

  #send(message: ToCheckThread): void {
    this.#worker?.postMessage(message);
  }
}

function failed(kind: SchemaKind, reason: string): Checked & { readonly outcome: 'failed' | 'overran' } {
  const code = kind === 'input' ? 'ARG_INVALID' : 'OUTPUT_INVALID';
  return { outcome: 'failed', denial: deny(code, `it could not be checked against the schema: ${reason}`) };
}
