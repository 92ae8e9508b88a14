// Agents and servers that did too much of what goes wrong, set aside in a gate that runs: at once, recorded, and told to the gates beside it. What is
// recorded is the truth, so it outlives the gate; only an operator lifts it, and that is in force when it is recorded.

import type { Crossing, MisdeedCounts, SetAside } from '../control-plane/anomaly/misdeed-counts.ts';
import { visibleText } from '../domain/visible-text.ts';
import type { Enforcement } from '../proxy/enforcement.ts';
import type { Recorder } from '../proxy/ports.ts';
import type { Quarantine } from '../proxy/quarantine.ts';
import { reasonOf } from './output.ts';

export type AsideKind = 'agent' | 'server';

export function isAsideKind(value: unknown): value is AsideKind {
  return value === 'agent' || value === 'server';
}

/** Who was set aside here, in words, for whoever tells the gates beside this one. */
export interface ToldAside {
  readonly kind: AsideKind;
  readonly id: string;
  readonly reason: string;
}

export interface QuarantinePorts {
  readonly counts: () => MisdeedCounts;
  readonly enforcement: Pick<Enforcement, 'setAside'>;
  readonly quarantine: Quarantine;
  readonly recorder: Recorder;
  readonly note: (text: string) => void;
}

export class Quarantines {
  readonly #ports: QuarantinePorts;
  /** Those whose entry is on its way. */
  readonly #recording = new Set<string>();
  readonly #listeners: ((told: ToldAside) => void)[] = [];

  constructor(ports: QuarantinePorts) {
    this.#ports = ports;
  }

  /** Who was counted out by this gate, and is set aside still. */
  get counted(): readonly ToldAside[] {
    return this.#ports
      .counts()
      .aside.flatMap(({ crossing, ...one }) =>
        crossing === undefined ? [] : [{ kind: one.kind, id: one.id, reason: reasonFor(crossing) }],
      );
  }

  /** Told of everybody whom this gate counts out from now on. */
  onCounted(listener: (told: ToldAside) => void): void {
    this.#listeners.push(listener);
  }

  /** Somebody did too much. New calls are denied from this very tick on. */
  crossed(crossing: Crossing): void {
    const { kind, id } = crossing;
    const reason = reasonFor(crossing);
    void this.#stop(kind, id, reason);
    this.#ports.note(
      `${kind} ${visibleText(id, 80)} is set aside: ${reason}; portcullis quarantine lift ${kind} ${visibleText(id, 80)}`,
    );
    for (const listener of this.#listeners) listener({ kind, id, reason });
    void this.#record({ kind, id, crossing, recorded: false });
  }

  /** Brings everything into force that follows from the ledger. Call it whenever that was opened, before anybody is served. */
  enforce(): void {
    for (const { kind, id, crossing } of this.#ports.counts().aside)
      void this.#stop(kind, id, crossing === undefined ? 'by another gate of this name' : reasonFor(crossing));
  }

  /** Records what was not recorded when it came into force. */
  record(): void {
    for (const aside of this.#ports.counts().aside) if (!aside.recorded) void this.#record(aside);
  }

  /** As another gate beside this one, or an operator, has it. Resolves with the number of calls that were stopped; rejects when it is not recorded. */
  async setAside(kind: AsideKind, id: string, reason: string): Promise<number> {
    if (this.#ports.counts().asideOf(kind, id) !== undefined) return 0;
    const stopping = this.#stop(kind, id, reason);
    await this.#ports.recorder.append({ type: 'quarantine.set', kind, id, cause: 'order', reason }, []);
    return stopping;
  }

  /** Resolves once that is recorded; rejects, and lifts nothing, when it cannot be. */
  async lift(kind: AsideKind, id: string, by: string | undefined): Promise<void> {
    if (this.#ports.counts().asideOf(kind, id) === undefined) return;
    await this.#ports.recorder.append({ type: 'quarantine.lifted', kind, id, ...(by === undefined ? {} : { by }) }, []);
    this.#ports.quarantine.lift(kind, id, 'counts');
  }

  #stop(kind: AsideKind, id: string, reason: string): Promise<number> {
    const code = kind === 'agent' ? 'AGENT_QUARANTINED' : 'SERVER_QUARANTINED';
    return this.#ports.enforcement.setAside({ kind, id, code, reason, cause: 'counts' });
  }

  /** What fails here is recorded when the ledger is opened again. */
  async #record({ kind, id, crossing }: SetAside): Promise<void> {
    const key = `${kind}:${id}`;
    if (crossing === undefined || this.#recording.has(key)) return;
    this.#recording.add(key);
    const { misdeed, count, windowMs, seq } = crossing;
    const body = { type: 'quarantine.set', kind, id, cause: 'counts', counted: { misdeed, count, windowMs, seq } };
    try {
      await this.#ports.recorder.append(body, []);
    } catch (error) {
      this.#ports.note(`${kind} ${visibleText(id, 80)} is set aside, but that is not recorded yet: ${reasonOf(error)}`);
    } finally {
      this.#recording.delete(key);
    }
  }
}

function reasonFor({ misdeed, count, windowMs, seq }: Crossing): string {
  return `${count} ${misdeed} within ${windowMs / 1_000} s, up to entry ${seq}`;
}
