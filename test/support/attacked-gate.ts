// A gate as an attacker finds it: `serve` with two agents, one of whom means well, in front of a server that writes down what it is told to do
// and of one that only the well-meaning may know of.

import { readdirSync, readFileSync } from 'node:fs';
import { generateApiKey } from '../../adapters/identity/api-key.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { type Installation, installation, type RunningCommand } from './cli.ts';
import { urlOf } from './counter-gate.ts';
import { type CallEvidence, callsOf, heardIn } from './evidence.ts';
import { RawHttp, textOf } from './raw-mcp.ts';

const RULES = `
@id("good") @reason("means well")
permit (principal == Portcullis::Agent::"good", action, resource);
@id("evil") @reason("may use the counter")
permit (principal == Portcullis::Agent::"evil", action, resource == Portcullis::Server::"counter");
`;

export type AgentName = 'good' | 'evil';

export class AttackedGate {
  readonly at: Installation;
  readonly running: RunningCommand;
  readonly port: number;
  /** What a client of each agent says of itself. */
  readonly bearer: Readonly<Record<AgentName, string>>;
  readonly #heard: string;
  #client: RawHttp | undefined;

  private constructor(at: Installation, running: RunningCommand, port: number, bearer: Record<AgentName, string>) {
    this.at = at;
    this.running = running;
    this.port = port;
    this.bearer = bearer;
    this.#heard = at.path('heard.jsonl');
  }

  static async start(): Promise<AttackedGate> {
    const at = installation();
    const keys = { good: generateApiKey(), evil: generateApiKey() };
    const counter = (file: string) => ({
      stdio: { command: process.execPath, args: [fixtureServer('counter.mjs'), at.path(file)] },
    });
    at.configure(
      {
        agents: {
          good: { roles: [], auth: { apiKey: keys.good.digest } },
          evil: { roles: [], auth: { apiKey: keys.evil.digest } },
        },
        servers: { counter: counter('heard.jsonl'), shut: counter('shut.jsonl') },
      },
      RULES,
    );
    const running = at.start(['serve', '--name', NAME, '--http', '127.0.0.1:0']);
    const url = await urlOf(running);
    await running.opensWith(2);
    const bearer = { good: `Bearer ${keys.good.key}`, evil: `Bearer ${keys.evil.key}` };
    return new AttackedGate(at, running, Number(new URL(url).port), bearer);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/mcp`;
  }

  client(agent: AgentName, path = '/counter', headers: Readonly<Record<string, string>> = {}): RawHttp {
    return new RawHttp(`${this.url}${path}`, { authorization: this.bearer[agent], ...headers });
  }

  /** The arguments with which the server was told to count. */
  heard(): readonly { readonly by?: number }[] {
    return heardIn(this.#heard) as { by?: number }[];
  }

  /** A client that has been there from the beginning still gets an answer. */
  async stillServes(): Promise<void> {
    if (this.#client === undefined) {
      this.#client = this.client('good');
      await this.#client.initialize();
    }
    const reply = await this.#client.call('echo', { text: 'still here' });
    if (textOf(reply) !== 'still here') throw new Error(`the gate does not serve: ${JSON.stringify(reply)}`);
  }

  /** What the ledger has of this agent, once it has as much of it as is expected. */
  async records(agent: AgentName = 'evil', atLeast = 0): Promise<readonly CallEvidence[]> {
    const end = Date.now() + 10_000;
    for (;;) {
      const own = (await callsOf(this.at, NAME)).filter((call) => call.agent === agent);
      if (own.length >= atLeast || Date.now() > end) return own;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Open descriptors of the gate's process, its memory aside. */
  descriptors(): number {
    return readdirSync(`/proc/${this.running.pid}/fd`).length;
  }

  residentBytes(): number {
    const status = readFileSync(`/proc/${this.running.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  }

  /** Waits until the process holds no more descriptors than that. */
  async settlesAt(descriptors: number, withinMs = 15_000): Promise<void> {
    const end = Date.now() + withinMs;
    while (this.descriptors() > descriptors) {
      if (Date.now() > end) throw new Error(`${this.descriptors()} descriptors are open, ${descriptors} were`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Ends it as an operator would; what it wrote besides its greeting, and whether its ledger verifies. */
  async stop(): Promise<{
    readonly code: number | null;
    readonly complaints: string;
    readonly verified: number | null;
  }> {
    const { code, stderr } = await this.running.stop(30_000);
    const complaints = stderr
      .split('\n')
      .filter((line) => line !== '' && !/^portcullis: (listening|ledger|open)/.test(line))
      .join('\n');
    const verified = (await this.at.audit(['verify', this.at.ledger(NAME)])).code;
    return { code, complaints, verified };
  }
}

const NAME = 'attacked';

/** How often each code is among records. */
export function tally(codes: readonly (string | undefined)[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const code of codes) if (code !== undefined) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}
