// One server whose environment is known: measured before each of its processes is started, compared with what was approved, looked at before every call and
// measured again whenever something changed. As long as it is not known what a process runs, no call goes to it; when it is known to be something else,
// its processes are ended.

import { lstatSync } from 'node:fs';
import {
  type EnvironmentDifference,
  type EnvironmentRecord,
  environmentDifferences,
  readEnvironment,
} from '../../control-plane/integrity/environment.ts';
import { packageRunner } from '../../control-plane/integrity/package-runner.ts';
import { type Denial, deny } from '../../domain/denial.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { StartedProcess, StartGuard, StartLine } from '../upstream/stdio/start-guard.ts';
import { environmentOf, type LaunchLine, type Means, type Measured } from './environment-of.ts';
import { UNSTABLE_MS } from './limits.ts';
import type { Sighting } from './measurement.ts';
import { CannotMeasure } from './measuring-thread.ts';
import { CAN_SEE_PROCESSES, type RunningProcess, runningProcess, stateOfProcess } from './running-process.ts';
import { stateOf } from './tree-walk.ts';

export interface ApprovedEnvironment {
  /** Of several approvals the later one has the larger number. */
  readonly number: number;
  /** Null where nothing was measured when it was approved: then it is not started. */
  readonly environment: JsonObject | null;
}

export interface Drift {
  readonly reason: string;
  readonly differences: readonly EnvironmentDifference[];
  /** Undefined where it could not be measured. */
  readonly measured: EnvironmentRecord | undefined;
}

export interface AttestedServerPorts extends Means {
  readonly approved: (server: string) => ApprovedEnvironment | undefined;
  /** In force when it returns. */
  readonly onDrift: (server: string, drift: Drift) => void;
  /** It is what was approved, and was not before. */
  readonly onGood: (server: string, record: EnvironmentRecord) => void;
  /** Monotonic. */
  readonly nowMs: () => number;
}

/** What was seen a moment ago is not looked up again: a burst of calls is one moment. */
const SEEN_FOR_MS = 2;
/** Of the processes of one server so many are looked at before a call, in turn. */
const PROCESSES_AT_ONCE = 4;

type State =
  | { readonly kind: 'unknown'; readonly why: string }
  | { readonly kind: 'good' }
  | { readonly kind: 'drifted'; readonly why: string; readonly under: number };

export class AttestedServer implements StartGuard {
  readonly name: string;
  readonly #sandbox: JsonObject | null;
  readonly #ports: AttestedServerPorts;
  readonly #processes = new Map<StartedProcess, RunningProcess | undefined>();
  #state: State = { kind: 'unknown', why: 'it has not been measured yet' };
  #now: { readonly launch: LaunchLine; readonly sighting: Sighting; readonly record: EnvironmentRecord } | undefined;
  /** What was seen just before each start. */
  readonly #seenBefore = new WeakMap<StartLine, string>();
  #lookedMs = Number.NEGATIVE_INFINITY;
  #turn = 0;
  #checking: Promise<void> | undefined;
  #settling: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(name: string, sandbox: JsonObject | null, ports: AttestedServerPorts) {
    this.name = name;
    this.#sandbox = sandbox;
    this.#ports = ports;
  }

  /** What was measured last and found good. */
  get record(): EnvironmentRecord | undefined {
    return this.#now?.record;
  }

  /** It is just being looked at. */
  get isLookedAt(): boolean {
    return this.#checking !== undefined;
  }

  /** The files that are looked at before every call. */
  get watched(): readonly string[] {
    return this.#now?.sighting.watched.map(({ path }) => path) ?? [];
  }

  /** Why no call may go to it now; undefined while it is what was approved. Looks at a handful of files and at its process. */
  problem(): Denial | undefined {
    if (this.#state.kind === 'unknown') return deny('ENV_UNKNOWN', this.#state.why);
    if (this.#state.kind === 'drifted') return deny('ENV_ATTESTATION', this.#state.why);
    const nowMs = this.#ports.nowMs();
    if (nowMs - this.#lookedMs < SEEN_FOR_MS) return undefined;
    if (this.#isAnotherProgram()) {
      this.#drift('its process runs another file than the one that was measured');
      return this.problem();
    }
    const changed = this.#changed();
    if (changed === undefined) {
      this.#lookedMs = nowMs;
      return undefined;
    }
    this.#state = { kind: 'unknown', why: `${changed}; it is measured again` };
    void this.check();
    return deny('ENV_UNKNOWN', this.#state.why);
  }

  async before(line: StartLine): Promise<StartLine> {
    const approved = this.#ports.approved(this.name);
    const record = readEnvironment(approved?.environment ?? undefined);
    // Once it was something else only a person says that it may go on: by approving it again.
    if (this.#state.kind === 'drifted' && (approved?.number ?? 0) <= this.#state.under) throw new Error(this.#why());
    const launch = this.#launchOf(line, record);
    if (launch === undefined)
      throw new Error(
        `"${line.command}" fetches what it runs each time, so nothing can be said of what that is; approve it once, then it is installed and pinned: portcullis tools approve ${this.name}`,
      );
    if (record === undefined)
      throw new Error(
        `what it runs was not measured when it was approved; approve it as it is now: portcullis tools approve ${this.name}`,
      );
    const measured = await environmentOf(launch, this.#ports, { from: record.store }).catch((error: unknown) => {
      if (error instanceof CannotMeasure) this.#drift(error.message);
      throw error;
    });
    if (!this.#compare(launch, measured)) throw new Error(this.#why());
    this.#seenBefore.set(launch, measured.sighting.fingerprint);
    return launch;
  }

  async started(process: StartedProcess): Promise<void> {
    // A look that began before it was started is none.
    await this.#checking;
    await this.check();
    const now = this.#now;
    if (this.#state.kind !== 'good' || now === undefined) throw new Error(this.#why());
    // Whatever was swapped for the time of the start, and swapped back, has the content of before and another state.
    if (this.#seenBefore.get(process.line) !== now.sighting.fingerprint)
      throw new Error('a file changed while it was started');
    if (!CAN_SEE_PROCESSES) {
      this.#processes.set(process, undefined);
      return;
    }
    const pid = process.pid();
    const running = pid === undefined ? undefined : runningProcess(pid);
    if (running === undefined) throw new Error('its process cannot be seen');
    if (stateOfProcess(running, now.sighting.program) !== 'same')
      throw new Error(
        'its process runs another file than the command: name the program itself, not one that starts it',
      );
    this.#processes.set(process, running);
  }

  ended(process: StartedProcess): void {
    this.#processes.delete(process);
  }

  /** Looks no more, and says nothing of a look that is under way. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#settling);
    this.#state = { kind: 'unknown', why: 'nobody looks at it any more' };
  }

  /** Looks whether any file changed, and measures again where one did. Never rejects. */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async #check(): Promise<void> {
    const now = this.#now;
    if (this.#closed) return;
    const approved = this.#ports.approved(this.name);
    if (now === undefined || (this.#state.kind === 'drifted' && (approved?.number ?? 0) <= this.#state.under)) return;
    try {
      const measured = await environmentOf(now.launch, this.#ports, { from: now.record.store, seen: now });
      this.#compare(now.launch, measured);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof CannotMeasure) this.#drift(reason);
      else this.#state = { kind: 'unknown', why: `it could not be measured: ${reason}` };
    }
  }

  /** What runs when the configuration says this: the approved copy of what a package runner would fetch. Undefined where nothing may. */
  #launchOf(line: StartLine, record: EnvironmentRecord | undefined): LaunchLine | undefined {
    const launch = { ...line, sandbox: this.#sandbox };
    if (record !== undefined && record.store !== null) {
      const program = record.files.find(({ role }) => role === 'program')?.path;
      return program === undefined ? undefined : { ...launch, command: program, args: record.args };
    }
    return packageRunner(line.command, line.args) === undefined ? launch : undefined;
  }

  #compare(launch: LaunchLine, { record, sighting }: Measured): boolean {
    if (this.#closed) return false;
    const reference = readEnvironment(this.#ports.approved(this.name)?.environment ?? undefined);
    if (reference === undefined) {
      this.#state = { kind: 'unknown', why: 'it is not approved any more' };
      return false;
    }
    const differences = environmentDifferences(reference, record);
    if (differences.length > 0) {
      this.#drift(undefined, differences, record);
      return false;
    }
    const isNews = this.#state.kind !== 'good';
    this.#now = { launch, sighting, record };
    this.#state = { kind: 'good' };
    if (sighting.newestMs >= sighting.atMs - UNSTABLE_MS) this.#measureOnceSettled();
    if (isNews) this.#ports.onGood(this.name, record);
    return true;
  }

  #drift(fault?: string, differences: readonly EnvironmentDifference[] = [], measured?: EnvironmentRecord): void {
    if (this.#closed) return;
    const [first, ...more] = differences;
    const others = more.length === 0 ? '' : ` and ${more.length} more`;
    const reason = fault ?? (first === undefined ? 'it is not the same' : `${first.item} ${first.what}${others}`);
    const wasKnown = this.#state.kind === 'drifted' && this.#state.why === reason;
    this.#state = { kind: 'drifted', why: reason, under: this.#ports.approved(this.name)?.number ?? 0 };
    if (!wasKnown) this.#ports.onDrift(this.name, { reason, differences, measured });
    for (const process of this.#processes.keys())
      process.end(`its environment is not the one that was approved: ${reason}`);
  }

  /** A file that changed a moment ago may have changed again within the same tick of the file system's clock. */
  #measureOnceSettled(): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      const now = this.#now;
      if (now === undefined || this.#state.kind !== 'good') return;
      void environmentOf(now.launch, this.#ports, { from: now.record.store, anew: true }).then(
        (measured) => this.#compare(now.launch, measured),
        () => this.check(),
      );
    }, UNSTABLE_MS + 100).unref();
  }

  #changed(): string | undefined {
    const now = this.#now;
    if (now === undefined) return 'it has not been measured yet';
    for (const { path, state } of now.sighting.watched) {
      try {
        if (stateOf(lstatSync(path, { bigint: true })) !== state) return `${path} changed`;
      } catch {
        return `${path} is gone`;
      }
    }
    return undefined;
  }

  /** A process that ended is no matter of files: whoever reads from it knows already, or will in an instant. */
  #isAnotherProgram(): boolean {
    const now = this.#now;
    const processes = [...this.#processes.values()];
    const some = Array.from({ length: Math.min(PROCESSES_AT_ONCE, processes.length) }, () => {
      this.#turn = (this.#turn + 1) % processes.length;
      return processes[this.#turn];
    });
    return some.some(
      (running) =>
        running !== undefined && now !== undefined && stateOfProcess(running, now.sighting.program) === 'other',
    );
  }

  #why(): string {
    return this.#state.kind === 'good' ? 'it is good' : this.#state.why;
  }
}
