// The measuring thread, seen from the gate: started with the first thing that is to be measured, asked one thing at a time, started anew when it
// failed. An answer that does not come is a fault and never "unchanged".

import { Worker } from 'node:worker_threads';
import type { CommandLine } from './command-files.ts';
import type { Measurement, Sighting } from './measurement.ts';

export interface MeasureAsk {
  readonly id: number;
  readonly line: CommandLine;
  /** A fingerprint whose contents are known already. */
  readonly known?: string | undefined;
}

export type MeasureAnswer =
  | { readonly id: number; readonly ok: true; readonly found: Measurement | Sighting }
  | { readonly id: number; readonly ok: false; readonly reason: string };

/** Far more than the largest tree takes on a busy machine. */
const WITHIN_MS = 60_000;

/** It was tried and cannot be done: a file is missing or may not be read, or there is too much. Any other failure says nothing about the files. */
export class CannotMeasure extends Error {
  override readonly name = 'CannotMeasure';
}

interface Pending {
  readonly settle: (answer: MeasureAnswer | undefined, reason?: string) => void;
}

export class MeasuringThread {
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #nextId = 1;
  #closed = false;

  /** Resolves with a measurement, or with a sighting alone where the fingerprint is the known one. Rejects with a plain explanation, CannotMeasure where it is the files'. */
  ask(line: CommandLine, known?: string): Promise<Measurement | Sighting> {
    if (this.#closed) return Promise.reject(new Error('nothing is measured any more'));
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const timer = setTimeout(() => this.#fail('measuring took too long'), WITHIN_MS);
      timer.unref();
      const settle: Pending['settle'] = (answer, reason) => {
        clearTimeout(timer);
        this.#pending.delete(id);
        if (this.#pending.size === 0) this.#worker?.unref();
        if (answer?.ok === true) resolve(answer.found);
        else if (answer !== undefined) reject(new CannotMeasure(answer.reason));
        else reject(new Error(reason ?? 'the measuring thread ended'));
      };
      this.#pending.set(id, { settle });
      const worker = this.#started();
      worker.ref();
      worker.postMessage({ id, line, known } satisfies MeasureAsk);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#fail('nothing is measured any more');
    await worker?.terminate();
  }

  #started(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const { url, execArgv } = threadFile();
    const worker = new Worker(url, { execArgv, env: {}, name: 'portcullis-integrity' });
    worker.on('message', (answer: MeasureAnswer) => this.#pending.get(answer.id)?.settle(answer));
    worker.on('messageerror', () => this.#failed(worker, 'an answer could not be read'));
    worker.on('error', (error) => this.#failed(worker, error instanceof Error ? error.message : 'the thread failed'));
    worker.on('exit', () => this.#failed(worker, 'the measuring thread ended'));
    this.#worker = worker;
    return worker;
  }

  #failed(worker: Worker, reason: string): void {
    if (this.#worker === worker) this.#fail(reason);
  }

  #fail(reason: string): void {
    const worker = this.#worker;
    this.#worker = undefined;
    for (const { settle } of [...this.#pending.values()]) settle(undefined, reason);
    void worker?.terminate();
  }
}

/** Where the thread's file lies. From sources, Node 20 needs the tests' loader to read it. */
function threadFile(): { readonly url: URL; readonly execArgv: string[] } {
  if (import.meta.url.endsWith('.js')) return { url: new URL('./measuring-worker.js', import.meta.url), execArgv: [] };
  const loader = new URL('../../test/support/typescript.mjs', import.meta.url);
  return { url: new URL('./measuring-worker.ts', import.meta.url), execArgv: ['--import', loader.href] };
}
