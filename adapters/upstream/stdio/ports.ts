// What starting a server's process asks of whoever makes sandboxes.

import type { Enclosure } from './launch-plan.ts';

/** A process as it would be started without a sandbox. */
export interface Program {
  /** The resolved file, by the name it was found under. */
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

/** What a process is started inside of, and what of its surroundings is other than without it. */
export interface Sandboxed {
  readonly ok: true;
  readonly enclosure: Enclosure;
  /** Joins its environment, and wins over what is taken over from ours. */
  readonly env: Readonly<Record<string, string>>;
}

export interface SandboxMaker {
  /** Makes ready what all sandboxes of the server share. Rejects when it cannot. */
  prepare(): Promise<void>;
  /** For one process. Refuses what may not be given, and what is not there. */
  make(program: Program): Sandboxed | { readonly ok: false; readonly reason: string };
  /** The server was stopped: lets go of what `prepare` made for it alone. */
  release?(): void;
}
