// A server's process as a pipe of messages: one JSON text a line on its standard input and output, in a process group of its own.
// It promises an exact environment, a bounded memory, and that nothing of the group is left when it has closed; and nothing at all of what it
// started, where the launch plan has a pid namespace. Without one, what escapes
// the group is looked for by a mark in its environment.

import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Duplex, Readable, Writable } from 'node:stream';
import { Defect } from '../../../domain/defect.ts';
import type { OwnProcess } from '../../../proxy/tool-server.ts';
import type { Exchange, Handover, MessagePipe, PipeHandlers } from '../ports.ts';
import { quoted } from '../unparsed.ts';
import type { LaunchPlan } from './launch-plan.ts';
import { Lines } from './lines.ts';
import { processKey } from './process-key.ts';
import { descendantAt } from './process-tree.ts';
import { StderrTail } from './stderr-tail.ts';
import { killMarked } from './stray-processes.ts';

export interface ProcessSpec {
  readonly plan: LaunchPlan;
  readonly cwd: string;
  /** All of it; nothing is added. */
  readonly env: Readonly<Record<string, string>>;
  /** What finds those of its processes that got away, where no namespace holds them: a value in its environment. */
  readonly mark?: string | undefined;
  readonly onStderr: (bytes: Uint8Array) => void;
  /** Once it was started and is gone, before the pipe says so. */
  readonly onEnded?: (ended: EndedProcess) => void;
  /** Takes the other end of a connection that the process gets as descriptor 3. It gets none when absent. */
  readonly adopt?: Adopt | undefined;
  /** Nothing of it is left. */
  readonly onGone?: (() => void) | undefined;
}

export interface EndedProcess {
  /** Its number and start. */
  readonly key: string;
  readonly detail: string;
  /** `closed`: it was asked to end. `destroyed`: it was ended, for what it did. */
  readonly by: 'itself' | 'closed' | 'destroyed';
  /** What it wrote last to its standard error, bounded. Hostile bytes. */
  readonly stderr: Uint8Array;
}

/** Serves what a process that we started says on the connection that it alone was given. The connection ends with the process. */
export type Adopt = (connection: Duplex, key: string) => OwnProcess;

/** The descriptor of that connection, in the process. */
export const CONNECTION_FD = 3;

export interface ProcessLimits {
  /** What may wait for a server that does not read. */
  readonly stdinBytesMax: number;
  /** How much of one oversized line is read to find its end. */
  readonly discardBytesMax: number;
  readonly stderrBytesMax: number;
  /** From the end of its input to SIGTERM. */
  readonly closeGraceMs: number;
  /** From SIGTERM to SIGKILL. */
  readonly termGraceMs: number;
  /** From its exit to the end of its output, which something outside its group may hold open. */
  readonly drainMs: number;
}

export const PROCESS_LIMITS: ProcessLimits = {
  stdinBytesMax: 16 * 1024 * 1024,
  discardBytesMax: 64 * 1024 * 1024,
  stderrBytesMax: 64 * 1024,
  closeGraceMs: 1_000,
  termGraceMs: 1_000,
  drainMs: 500,
};

export class ProcessPipe implements MessagePipe {
  readonly stderr: StderrTail;
  /** The process, where it has a connection of its own. */
  readonly own: OwnProcess | undefined;
  readonly #plan: LaunchPlan;
  readonly #child: ChildProcess;
  readonly #stdin: Writable;
  readonly #stdout: Readable;
  readonly #stderr: Readable;
  readonly #connection: Duplex | undefined;
  readonly #limits: ProcessLimits;
  readonly #gone: Promise<void>;
  #why: string | undefined;
  #exited = false;
  #killed = false;
  #by: EndedProcess['by'] = 'itself';
  #ending = false;
  #closing: Promise<void> | undefined;

  constructor(spec: ProcessSpec, limits: ProcessLimits, handlers: PipeHandlers) {
    this.#limits = limits;
    this.stderr = new StderrTail(limits.stderrBytesMax);
    this.#plan = spec.plan;
    this.#child = spawn(spec.plan.command, spec.plan.args, {
      cwd: spec.cwd,
      env: spec.env,
      // Each is open in this process alone: what else we start inherits none of them.
      stdio: spec.adopt === undefined ? 'pipe' : ['pipe', 'pipe', 'pipe', 'pipe'],
      detached: true,
      windowsHide: true,
    });
    const { stdin, stdout, stderr } = this.#child;
    if (stdin === null || stdout === null || stderr === null) throw new Defect('a process without its pipes');
    this.#stdin = stdin;
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.#connection = this.#child.stdio[CONNECTION_FD] as Duplex | undefined;
    this.own = this.#adopted(spec.adopt);
    const { pid } = this.#child;
    const key = pid === undefined ? undefined : processKey(pid);
    const lines = new Lines(handlers, limits.discardBytesMax, () => this.destroy('it wrote a line without an end'));
    stdout.on('data', (chunk: Buffer) => lines.push(chunk));
    // Without its output nothing can be answered. An exit that is about to be reported explains more, so it goes first.
    stdout.on('end', () => setTimeout(() => this.destroy('it closed its standard output'), limits.drainMs).unref());
    stderr.on('data', (chunk: Buffer) => {
      // What stands between complains of not being able to die of the same signal.
      if (this.#killed && chunk.subarray(0, 9).toString('latin1') === 'unshare: ') return;
      this.stderr.push(chunk);
      spec.onStderr(chunk);
    });
    stdin.on('error', () => setTimeout(() => this.destroy('it closed its standard input'), limits.drainMs).unref());
    stdout.on('error', () => this.destroy('its standard output cannot be read'));
    stderr.on('error', () => undefined);
    this.#gone = new Promise((resolve) => {
      const finish = (detail: string) => {
        resolve();
        if (this.#ending) return;
        this.#ending = true;
        spec.onGone?.();
        if (key !== undefined) spec.onEnded?.({ key, detail, by: this.#by, stderr: this.stderr.bytes() });
        handlers.onClose(detail);
      };
      this.#child.on('error', (error) => {
        // After a successful start this event speaks of a signal that could not be sent, which is no end.
        if (this.#child.pid === undefined) finish(`it could not be started: ${error.message}`);
      });
      this.#child.on('exit', (code, signal) => {
        this.#exited = true;
        // Whoever else holds the other end is not the process.
        this.#connection?.destroy();
        const cause = signal ?? this.#signalIn(code);
        this.#why ??=
          cause === undefined ? `it ended with exit code ${code}${this.#lastWords()}` : `it was ended by ${cause}`;
        // What the server left behind in its group goes with it; then its output ends and 'close' follows.
        this.#signalGroup('SIGKILL');
        if (spec.mark !== undefined) killMarked(spec.mark);
        setTimeout(() => this.#dropStreams(), limits.drainMs).unref();
      });
      this.#child.on('close', () => finish(this.#why ?? 'it ended'));
    });
  }

  /** The process that we started; undefined where that failed. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The server's own process, past what stands between; undefined while it is not there yet, or not any more. */
  get serverPid(): number | undefined {
    const { pid } = this.#child;
    return pid === undefined || this.#exited ? undefined : descendantAt(pid, this.#plan.generations);
  }

  send(text: string, _exchange?: Exchange): Handover {
    const stdin = this.#stdin;
    if (this.#ending || this.#exited || this.#closing !== undefined || !stdin.writable) return 'closed';
    const waiting = stdin.writableLength;
    if (waiting > 0 && waiting + text.length > this.#limits.stdinBytesMax) return 'full';
    // libuv tries the write at once, in this call; only what the pipe does not take waits.
    stdin.write(`${text}\n`);
    return 'sent';
  }

  agreed(_protocolVersion: string): void {}

  abandon(_exchange: Exchange): void {}

  close(): Promise<void> {
    this.#closing ??= this.#closeInOrder();
    return this.#closing;
  }

  destroy(detail: string): void {
    this.#why ??= detail;
    if (this.#by === 'itself' && !this.#exited) this.#by = 'destroyed';
    if (!this.#exited) this.#kill();
  }

  async #closeInOrder(): Promise<void> {
    this.#why ??= 'it was stopped';
    this.#by = 'closed';
    this.#stdin.end();
    this.#connection?.end();
    if (await this.#goneWithin(this.#limits.closeGraceMs)) return;
    this.#terminate();
    if (await this.#goneWithin(this.#limits.termGraceMs)) return;
    this.#kill();
    await this.#gone;
  }

  async #goneWithin(graceMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), graceMs);
    });
    const gone = await Promise.race([this.#gone.then(() => true as const), late]);
    clearTimeout(timer);
    return gone;
  }

  /**
   * A namespace is ended by its first process: the one that we see then ends after everything in it has, so that its end is the end of all.
   * The group follows, should that not work.
   */
  #kill(): void {
    const { pid } = this.#child;
    const first = pid === undefined || this.#plan.generations === 0 ? undefined : descendantAt(pid, 1);
    if (first === undefined) {
      this.#signalGroup('SIGKILL');
      return;
    }
    this.#killed = true;
    try {
      process.kill(first, 'SIGKILL');
    } catch {
      // ESRCH: it has just ended by itself.
    }
    setTimeout(() => {
      if (!this.#exited) this.#signalGroup('SIGKILL');
    }, this.#limits.drainMs).unref();
  }

  /** What stands between us and a server in a session of its own would end first, and take it along without a word. */
  #terminate(): void {
    if (this.#plan.ownSession !== true) {
      this.#signalGroup('SIGTERM');
      return;
    }
    try {
      if (this.serverPid !== undefined) process.kill(this.serverPid, 'SIGTERM');
    } catch {
      // ESRCH: it has just ended by itself.
    }
  }

  /** The signal that ended the server, out of the exit code of what stands between us. A server may also choose such a code itself. */
  #signalIn(code: number | null): string | undefined {
    if (this.#plan.generations < 2 || code === null) return undefined;
    return Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
  }

  #signalGroup(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // ESRCH: nobody is left in the group.
    }
  }

  #dropStreams(): void {
    this.#stdin.destroy();
    this.#stdout.destroy();
    this.#stderr.destroy();
  }

  #adopted(adopt: Adopt | undefined): OwnProcess | undefined {
    const connection = this.#connection;
    if (adopt === undefined || connection === undefined) return undefined;
    connection.on('error', () => undefined);
    const { pid } = this.#child;
    if (pid !== undefined) return adopt(connection, processKey(pid));
    connection.destroy();
    return undefined;
  }

  #lastWords(): string {
    const line = this.stderr.lastLine();
    return line === '' ? '' : `; its standard error ends with ${quoted(line, 300)}`;
  }
}
