// Who may look at a process before it is started and before it is believed. Types only.

/** What is about to be started, before anything of ours is put in front of it. */
export interface StartLine {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** All variables, but those by which we tell the process of its connection. */
  readonly env: Readonly<Record<string, string>>;
  /** Names of those that the configuration speaks of. */
  readonly configured: readonly string[];
}

export interface StartedProcess {
  /** What `before` resolved with for it. */
  readonly line: StartLine;
  /** The server's own process, past what stands between; undefined where that cannot be seen. */
  readonly pid: () => number | undefined;
  /** Ends it at once. */
  readonly end: (reason: string) => void;
}

export interface StartGuard {
  /** Asked before every start. Resolves with what to start; rejects with a plain explanation where nothing may be. */
  before(line: StartLine): Promise<StartLine>;
  /** It answered, and nothing that it said was believed. Rejects where it must not be; it is ended then. */
  started(process: StartedProcess): Promise<void>;
  ended(process: StartedProcess): void;
}
