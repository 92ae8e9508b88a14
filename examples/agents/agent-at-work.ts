// An agent's process as whoever started it sees it: where it listens, what it was given and what it does.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Credential } from './credential.ts';
import type { Seen, ToolUse } from './scripted-model.ts';

export interface AgentEvent {
  /** Milliseconds since 1970, with fractions: what several processes did can be put in order. */
  readonly at: number;
  readonly use?: ToolUse;
  readonly seen?: Seen;
}

export class AgentAtWork {
  readonly name: string;
  readonly url: string;
  /** Since they were last taken. */
  #events: AgentEvent[] = [];
  /** With each of its calls came one. A careful agent shows them to nobody but its gate. */
  readonly tokens: string[] = [];
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  #heard: (() => void) | undefined;

  private constructor(name: string, url: string, child: ChildProcessByStdio<Writable, Readable, null>) {
    this.name = name;
    this.url = url;
    this.#process = child;
  }

  static async start(name: string, credential: Credential): Promise<AgentAtWork> {
    const script = fileURLToPath(new URL('agent-process.js', compiled(import.meta.url)));
    const child = spawn(process.execPath, [script, name], {
      env: { PATH: process.env.PATH ?? '', AGENT_CREDENTIAL: JSON.stringify(credential) },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.on('error', () => {}); // It has ended; whoever calls it hears that.
    const lines = createInterface({ input: child.stdout });
    const url = await new Promise<string>((resolve, reject) => {
      lines.once('line', (line) => resolve((JSON.parse(line) as { url: string }).url));
      child.once('exit', (code) => reject(new Error(`the ${name} ended with ${code}`)));
    });
    const agent = new AgentAtWork(name, url, child);
    lines.on('line', (line) => agent.#hear(JSON.parse(line) as AgentEvent & { token?: string; heard?: true }));
    return agent;
  }

  /** Says where its gate is. */
  meet(gate: string): void {
    this.#process.stdin.write(`${gate}\n`);
  }

  /** What it did since it was asked last. */
  async take(): Promise<readonly AgentEvent[]> {
    await new Promise<void>((resolve) => {
      this.#heard = resolve;
      this.#process.stdin.write('heard?\n');
    });
    return this.#events.splice(0);
  }

  async stop(): Promise<void> {
    const over = this.#process.exitCode !== null || this.#process.signalCode !== null;
    const gone = over ? undefined : new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.stdin.end();
    await gone;
  }

  #hear({ token, heard, ...event }: AgentEvent & { token?: string; heard?: true }): void {
    if (heard === true) this.#heard?.();
    else if (token !== undefined) this.tokens.push(token);
    else this.#events.push(event);
  }
}

/** Where the compiled file lies: processes are started from there, also when a test reads the sources. */
export function compiled(url: string): string {
  return url.endsWith('.ts') ? url.replace('/examples/', '/dist/examples/') : url;
}
