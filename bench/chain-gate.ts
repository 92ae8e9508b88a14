// A gate before an echo tool and an agent that holds its calls, and chains of calls through it as long as is asked for. The gate is a process as a user
// runs it, in a home of its own.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateApiKey } from '../adapters/identity/api-key.ts';
import { approveServers } from './approved-servers.ts';
import { Holder, TOKEN } from './holder.ts';
import { type LoadClient, openHttp } from './load-client.ts';
import { ECHO_SERVER, PORTCULLIS, ROOT } from './places.ts';
import { freePort, type Started, start, stop, usage } from './processes.ts';

const DEPTH_MAX = 8;
const HOLD_MS = 120_000;
const READY_MS = 20_000;
const RULES = `@id("all") @reason("nothing of this is outside the bench") permit (principal, action, resource);
`;

export interface Chain {
  /** What goes along with a call under its last; undefined for a chain of no calls. */
  readonly meta: string | undefined;
  readonly root: string;
  /** Ends it from below, and resolves when all of it has ended. */
  release(): Promise<void>;
}

interface Speaker {
  readonly key: string;
  session: string;
  next: number;
}

export class ChainGate {
  readonly operator: string;
  /** The agent that begins chains, and the one that is called. */
  readonly planner: LoadClient;
  readonly worker: LoadClient;
  readonly holder: Holder;
  readonly env: NodeJS.ProcessEnv;
  readonly #folder: string;
  readonly #port: number;
  readonly #gate: Started;
  readonly #speakers: { readonly planner: Speaker; readonly worker: Speaker };
  #chains = 0;

  private constructor(
    made: { folder: string; port: number; gate: Started; holder: Holder; env: NodeJS.ProcessEnv; operator: string },
    clients: { planner: LoadClient; worker: LoadClient },
    speakers: { readonly planner: Speaker; readonly worker: Speaker },
  ) {
    this.#folder = made.folder;
    this.#port = made.port;
    this.#gate = made.gate;
    this.holder = made.holder;
    this.env = made.env;
    this.operator = made.operator;
    this.planner = clients.planner;
    this.worker = clients.worker;
    this.#speakers = speakers;
  }

  static async open(): Promise<ChainGate> {
    const folder = mkdtempSync(join(tmpdir(), 'portcullis-bench-'));
    const holder = await Holder.listen();
    const port = await freePort();
    const [planner, worker, operator] = [generateApiKey(), generateApiKey(), generateApiKey()];
    const holds = Object.fromEntries(
      Array.from({ length: DEPTH_MAX }, (_, nth) => [
        `hold${nth + 1}`,
        { http: { url: `${holder.url}/hold${nth + 1}` }, agent: 'worker', limits: { timeoutMs: HOLD_MS } },
      ]),
    );
    const manifest = {
      apiVersion: 'portcullis/v1',
      agents: {
        planner: { auth: { apiKey: planner.digest } },
        worker: { root: false, auth: { apiKey: worker.digest } },
      },
      operators: { bench: { apiKey: operator.digest } },
      servers: { bench: { stdio: { command: process.execPath, args: [ECHO_SERVER] } }, ...holds },
    };
    mkdirSync(join(folder, 'policy'));
    writeFileSync(join(folder, 'portcullis.yaml'), JSON.stringify(manifest));
    writeFileSync(join(folder, 'policy', 'all.cedar'), RULES);
    const env = { ...process.env, PORTCULLIS_HOME: folder };
    await approveServers(join(folder, 'portcullis.yaml'), env);
    const gate = start(process.execPath, [PORTCULLIS, 'serve', '--http', `127.0.0.1:${port}`], { cwd: ROOT, env });
    gate.process.stdout?.resume();
    try {
      const speakers = {
        planner: { key: planner.key, session: '', next: 1 },
        worker: { key: worker.key, session: '', next: 1 },
      };
      await ready(gate, port, speakers.worker);
      await initialize(port, speakers.planner);
      const clients = {
        planner: await openHttp(port, '/mcp/bench', planner.key),
        worker: await openHttp(port, '/mcp/bench', worker.key),
      };
      return new ChainGate({ folder, port, gate, holder, env, operator: operator.key }, clients, speakers);
    } catch (error) {
      await stop(gate);
      await holder.close();
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get ledgers(): readonly string[] {
    const gates = join(this.#folder, 'state', 'gates');
    return readdirSync(gates).map((name) => join(gates, name, 'ledger'));
  }

  /** CPU of the gate so far, without the echo tool; undefined where the kernel does not show it. */
  cpuMicros(): number | undefined {
    return usage(this.#gate.pid, ECHO_SERVER)?.proxy.cpuMicros;
  }

  /** Opens so many calls, each made for the one before, and leaves them open. */
  async chain(length: number): Promise<Chain> {
    this.#chains += 1;
    const open: Promise<unknown>[] = [];
    const tokens: string[] = [];
    for (let depth = 1; depth <= length; depth += 1) {
      const name = `${this.#chains}.${depth}`;
      const arrived = this.holder.arrival(name);
      const speaker = depth === 1 ? this.#speakers.planner : this.#speakers.worker;
      const _meta = depth === 1 ? {} : { [TOKEN]: tokens.at(-1) };
      const answered = ask(this.#port, speaker, 'tools/call', {
        name: `hold${depth}__hold`,
        arguments: { name },
        _meta,
      });
      open.push(answered);
      const token = await Promise.race([arrived, answered.then((said) => Promise.reject(new Error(said)))]);
      tokens.push(token);
    }
    const last = tokens.at(-1);
    const [, claims = ''] = (last ?? '').split('.');
    const { lin } = JSON.parse(Buffer.from(claims, 'base64url').toString() || '{}') as { lin?: { root: string } };
    return {
      meta: last === undefined ? undefined : JSON.stringify({ [TOKEN]: last }),
      root: lin?.root ?? '',
      release: async () => {
        this.holder.release();
        await Promise.all(open);
      },
    };
  }

  /** Ends the gate; its ledgers stay until `remove`. */
  async stop(): Promise<void> {
    this.planner.close();
    this.worker.close();
    await stop(this.#gate);
    await this.holder.close();
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The gate opens with the servers that are there: waits for all of them. */
async function ready(gate: Started, port: number, speaker: Speaker): Promise<void> {
  const until = Date.now() + READY_MS;
  for (;;) {
    try {
      if (speaker.session === '') await initialize(port, speaker);
      const { result } = JSON.parse(await ask(port, speaker, 'tools/list', {})) as { result?: { tools: unknown[] } };
      if (result?.tools.length === DEPTH_MAX + 1) return;
    } catch {
      // It does not listen yet.
    }
    if (Date.now() > until || gate.exited()) throw new Error(`the gate does not come up: ${gate.stderr()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function initialize(port: number, speaker: Speaker): Promise<void> {
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'bench', version: '1.0.0' } };
  await ask(port, speaker, 'initialize', params);
}

/** The text of the answer, which may take as long as it will. */
async function ask(port: number, speaker: Speaker, method: string, params: object): Promise<string> {
  const id = speaker.next++;
  const response = await fetch(`http://127.0.0.1:${port}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${speaker.key}`,
      ...(speaker.session === '' ? {} : { 'mcp-session-id': speaker.session, 'mcp-protocol-version': '2025-06-18' }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
  });
  speaker.session = response.headers.get('mcp-session-id') ?? speaker.session;
  const text = await response.text();
  return (
    text
      .split('\n')
      .find((line) => line.startsWith('data: {'))
      ?.slice(6) ?? text
  );
}
