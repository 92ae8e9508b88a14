// One target on one route through a whole run: started, warmed, measured window by window, started again when it failed.

import { closedLoop, type Load, type Measured } from './closed-loop.ts';
import { PortcullisHome } from './portcullis-home.ts';
import { type RunningTarget, startTarget } from './running-target.ts';
import type { Route, TargetName } from './targets.ts';

const WARM_UP: Load = { name: 'warm-up', payloadBytes: 100, inFlight: 16 };

/** One window of one load. CPU is undefined where the kernel does not show it. */
export interface Window extends Measured {
  readonly proxyCpuMicros: number | undefined;
  readonly toolCpuMicros: number | undefined;
}

export class Contestant {
  readonly name: TargetName;
  readonly route: Route;
  readonly startUpsMs: number[] = [];
  readonly windows = new Map<string, Window[]>();
  /** What went wrong, by load: such a load is not measured again. */
  readonly faults = new Map<string, string>();
  /** Why the target is not in this run, or not in the rest of it. */
  absent: string | undefined;
  residentBytes: number | undefined;
  /** Right answers of the measured process, warm-up included: as many intents must lie in its ledger. */
  calls = 0;
  readonly home: PortcullisHome | undefined;
  #running: RunningTarget | undefined;

  constructor(name: TargetName, route: Route) {
    this.name = name;
    this.route = route;
    // Two gates never share a ledger, so each route has its own.
    this.home = name === 'portcullis' ? new PortcullisHome() : undefined;
  }

  /** Starts and stops once, to see how long it takes. */
  async timeStartUp(): Promise<void> {
    await this.#guard(async () => {
      await this.#start();
      if (this.#running !== undefined) this.startUpsMs.push(this.#running.startUpMs);
      await this.stop();
    });
  }

  async warmUp(seconds: number): Promise<void> {
    await this.#guard(async () => {
      await this.#start();
      if (this.#running === undefined) return;
      this.calls += (await closedLoop(this.#running.client, WARM_UP, seconds)).calls;
    });
  }

  async measure(load: Load, seconds: number): Promise<void> {
    if (this.#running === undefined || this.faults.has(load.name)) return;
    const before = this.#running.usage();
    try {
      const measured = await closedLoop(this.#running.client, load, seconds);
      const after = this.#running.usage();
      this.calls += measured.calls;
      const window: Window = {
        ...measured,
        proxyCpuMicros: difference(before?.proxy.cpuMicros, after?.proxy.cpuMicros),
        toolCpuMicros: difference(before?.tool.cpuMicros, after?.tool.cpuMicros),
      };
      this.windows.set(load.name, [...(this.windows.get(load.name) ?? []), window]);
    } catch (error) {
      this.faults.set(
        load.name,
        [error instanceof Error ? error.message : String(error), this.#running.ended()].filter(Boolean).join('; '),
      );
      await this.#guard(async () => {
        await this.stop();
        await this.#start();
      });
    }
  }

  readMemory(): void {
    const used = this.#running?.usage();
    // Where nothing stands in front of the tool, the tool itself is the target.
    this.residentBytes = this.name === 'direct' ? used?.tool.residentBytes : used?.proxy.residentBytes;
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
    this.#running = undefined;
  }

  async #start(): Promise<void> {
    this.#running = await startTarget(this.name, this.route, this.home);
    if (this.#running === undefined) this.absent = 'does not offer this route';
    else this.calls += 1;
  }

  /** A target that does not come up is out of the run; the others go on. */
  async #guard(work: () => Promise<void>): Promise<void> {
    if (this.absent !== undefined) return;
    try {
      await work();
    } catch (error) {
      this.absent = error instanceof Error ? error.message : String(error);
      await this.stop();
    }
  }
}

function difference(before: number | undefined, after: number | undefined): number | undefined {
  return before === undefined || after === undefined ? undefined : after - before;
}
