// Keeps the gate and its ledger together: as long as the ledger can be written the gate may be open, and when it cannot the gate falls shut,
// the process lives, and the ledger is opened anew until that works again. Each opening is a generation: what began in one never ends in
// another, because recovery has ended it already.

import { deny } from '../domain/denial.ts';
import type { EntryBody } from '../domain/entry.ts';
import type { Governance } from './governance.ts';
import type { Clock, Payload, Receipt, Recorder } from './ports.ts';

/** One opening of the ledger. */
export interface LedgerGeneration extends Recorder {
  readonly epoch: number;
  /** Called once, in the tick in which the ledger can no longer be written. */
  onFailure(listener: (detail: string) => void): void;
  close(): Promise<void>;
}

export interface KeeperPorts {
  readonly governance: Governance;
  readonly clock: Clock;
  /** Opens and recovers the ledger: ends what the generation before left open. Rejects while it cannot be written. */
  readonly open: () => Promise<LedgerGeneration>;
  /** The ledger failed while calls were in flight. */
  readonly onFailure: (detail: string) => void;
}

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 10_000;

export class LedgerKeeper implements Recorder {
  readonly #ports: KeeperPorts;
  #generation: LedgerGeneration | undefined;
  #stopRetry: () => void = () => {};
  #closed = false;

  constructor(ports: KeeperPorts) {
    this.#ports = ports;
  }

  /**
   * Opens the ledger for the first time. A ledger that `refuses` says is not what it was rejects: a person has to look at it. Any other failure
   * leaves the gate shut and is tried again.
   */
  async start(refuses: (fault: unknown) => boolean): Promise<void> {
    try {
      this.#adopt(await this.#ports.open());
    } catch (fault) {
      if (refuses(fault)) throw fault;
      this.#ports.governance.shut('ledger', 'GOV_LEDGER_UNWRITABLE', String(fault));
      this.#ports.onFailure(String(fault));
      this.#retry(RETRY_FIRST_MS);
    }
  }

  /** The generation of this moment; one that refuses everything while there is none. */
  recorder(): Recorder {
    return this.#generation ?? NO_LEDGER;
  }

  append(body: EntryBody, payloads: readonly Payload[]): Promise<Receipt> {
    return this.recorder().append(body, payloads);
  }

  /** Gives the generation up, whoever found that it cannot be trusted, and tries to open the next. */
  fail(detail: string): void {
    const failed = this.#generation;
    if (failed === undefined || this.#closed) return;
    this.#generation = undefined;
    this.#ports.governance.shut('ledger', 'GOV_LEDGER_UNWRITABLE', detail);
    this.#ports.onFailure(detail);
    void failed.close().catch(() => {
      // It failed before; what is on disk is read anew by the next opening.
    });
    this.#retry(RETRY_FIRST_MS);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopRetry();
    const last = this.#generation;
    this.#generation = undefined;
    await last?.close();
  }

  #adopt(generation: LedgerGeneration): void {
    this.#generation = generation;
    generation.onFailure((detail) => {
      if (this.#generation === generation) this.fail(detail);
    });
    this.#ports.governance.open('ledger');
  }

  #retry(afterMs: number): void {
    this.#stopRetry = this.#ports.clock.timer(afterMs, () => {
      this.#ports.open().then(
        (generation) => {
          if (this.#closed) void generation.close();
          else this.#adopt(generation);
        },
        (fault) => {
          if (this.#closed) return;
          this.#ports.governance.shut('ledger', 'GOV_LEDGER_UNWRITABLE', String(fault));
          this.#retry(Math.min(afterMs * 2, RETRY_MAX_MS));
        },
      );
    });
  }
}

const NO_LEDGER: Recorder = {
  append: () => Promise.reject(new Error(deny('GOV_LEDGER_UNWRITABLE').code)),
};
