// A gate in front of the counter, which writes down every call it hears before it answers: the witness of what was really executed.

import { fixtureServer } from '../fixtures/servers/paths.ts';
import { type Installation, installation, type RunningCommand, type StartOptions } from './cli.ts';
import { type HttpReply, RawHttp, RawStdio } from './raw-mcp.ts';

export const ALLOW_ALL = `@id("all")
@reason("everything the counter does is harmless")
permit (principal, action, resource == Portcullis::Server::"counter");
`;

export interface CounterGate {
  readonly at: Installation;
  /** The calls of `count` that the tool heard, one line each. */
  readonly heard: string;
  /** The command line of the tool server. */
  readonly line: readonly string[];
  wrap(options?: StartOptions): RunningCommand;
  /** A client on standard input and output that has been initialized. */
  wrapped(options?: StartOptions): Promise<RawStdio>;
  serve(options?: StartOptions): RunningCommand;
  /** A client over HTTP that has been initialized, and the gate it speaks to. */
  served(options?: StartOptions): Promise<{ gate: RunningCommand; client: RawHttp }>;
}

export interface CounterOptions {
  readonly rules?: string;
  readonly limits?: object;
  readonly agents?: object;
  readonly operators?: object;
  /** Whatever else its manifest says. */
  readonly manifest?: object;
  /** Further members of the server in the manifest. */
  readonly server?: object;
}

export function counterGate({
  rules = ALLOW_ALL,
  limits = {},
  agents,
  operators = {},
  manifest = {},
  server = {},
}: CounterOptions = {}): CounterGate {
  const at = installation();
  const heard = at.path('heard.jsonl');
  const line = [process.execPath, fixtureServer('counter.mjs'), heard];
  const [command, ...args] = line;
  at.configure(
    {
      agents: agents ?? { me: { roles: ['dev'], auth: 'local' } },
      operators,
      ...manifest,
      servers: { counter: { stdio: { command, args }, limits, ...server } },
    },
    rules,
  );
  const wrap = (options?: StartOptions): RunningCommand =>
    at.start(['wrap', '--name', 'counter', '--', ...line], options);
  const serve = (options?: StartOptions): RunningCommand =>
    at.start(['serve', '--name', 'counter', '--http', '127.0.0.1:0'], options);
  return {
    at,
    heard,
    line,
    wrap,
    wrapped: async (options) => {
      const client = new RawStdio(wrap(options));
      if ((await client.initialize())?.result === undefined) throw new Error(client.running.stderr);
      return client;
    },
    serve,
    served: async (options) => {
      const gate = serve(options);
      const client = new RawHttp(await urlOf(gate, 'counter'));
      await client.initialize();
      return { gate, client };
    },
  };
}

/** The address a gate says it listens on: all servers, or one of them. */
export async function urlOf(gate: RunningCommand, server?: string): Promise<string> {
  await gate.says(/listening on http:\S+/);
  const url = /listening on (http:\S+)/.exec(gate.stderr)?.[1] ?? '';
  return server === undefined ? url : `${url}/${server}`;
}

export type { HttpReply };
