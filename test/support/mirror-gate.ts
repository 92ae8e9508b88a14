// Gates in front of mirrors on every transport and of both eras, with a client of each era on each transport.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { JsonObject } from '../../domain/json.ts';
import type { Era } from '../../proxy/tool-server.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { installation } from './cli.ts';
import { urlOf } from './counter-gate.ts';
import { type FaithfulClient, faithfulHttp, faithfulSocket, faithfulStdio } from './faithful-clients.ts';

/** One end of a conversation. */
export interface Side {
  readonly transport: string;
  readonly era: Era;
}

export const ERAS: readonly Era[] = ['legacy', 'modern'];
export const CLIENTS: readonly Side[] = ['stdio', 'http', 'ws'].flatMap((transport) =>
  ERAS.map((era) => ({ transport, era })),
);
export const SERVERS: readonly Side[] = [
  ...['stdio', 'http', 'ws'].flatMap((transport) => ERAS.map((era) => ({ transport, era }))),
  // The transport of 2024-11-05, which no later era uses.
  { transport: 'sse', era: 'legacy' },
];
export const nameOf = ({ transport, era }: Side): string => `${transport}-${era}`;

/** What rules allow here: everything. */
const RULES = '@id("all") @reason("a mirror does nothing") permit (principal, action, resource);\n';

export interface MirrorGate {
  /** Where the gate listens that is reached over a network. */
  readonly url: string;
  /** By the name of their side. */
  readonly clients: ReadonlyMap<string, FaithfulClient>;
  close(): Promise<void>;
}

/** Resolves when every client can reach every server. Its installation is closed by whoever asks for it. */
export async function mirrorGate(): Promise<MirrorGate> {
  const stops: (() => Promise<unknown>)[] = [];
  const at = installation();
  const servers = await Promise.all(
    SERVERS.map(async (server) => [nameOf(server), await configured(server, (stop) => stops.push(stop))] as const),
  );
  at.configure({ agents: { me: { auth: 'local' } }, servers: Object.fromEntries(servers) }, RULES);
  const http = at.start(['serve', '--name', 'http', '--http', '127.0.0.1:0']);
  const stdio = ERAS.map((era) => [era, at.start(['serve', '--name', `stdio-${era}`, '--stdio'])] as const);
  for (const gate of [http, ...stdio.map(([, gate]) => gate)]) stops.unshift(() => gate.stop());
  const url = await urlOf(http);
  const clients = new Map<string, FaithfulClient>();
  for (const [era, gate] of stdio) {
    clients.set(`stdio-${era}`, await faithfulStdio(era, gate));
    clients.set(`http-${era}`, await faithfulHttp(era, url));
    clients.set(`ws-${era}`, await faithfulSocket(era, url.replace('http:', 'ws:')));
  }
  for (const client of clients.values()) await everyServer(client);
  return {
    url,
    clients,
    close: async () => {
      for (const client of clients.values()) await client.close();
      await Promise.all(stops.map((stop) => stop()));
    },
  };
}

/** A gate opens with those that are there, and a busy machine starts one long after another. */
async function everyServer(client: FaithfulClient): Promise<void> {
  const end = Date.now() + 30_000;
  for (;;) {
    const { result } = await client.ask('tools/list', {});
    const tools = (result?.tools ?? []) as readonly JsonObject[];
    if (tools.length === SERVERS.length) return;
    if (Date.now() > end) throw new Error(`only these are there: ${tools.map(({ name }) => String(name)).join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function configured(server: Side, onStop: (stop: () => Promise<unknown>) => void): Promise<object> {
  const { transport, era } = server;
  const args = [fixtureServer('mirror.mjs'), transport, nameOf(server), era];
  if (transport === 'stdio') return { stdio: { command: process.execPath, args, era } };
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  onStop(async () => {
    child.stdin.end();
    child.stdout.destroy();
    await once(child, 'close');
  });
  const [line] = await once(child.stdout, 'data');
  const port = Number(String(line));
  if (transport === 'sse') return { sse: { url: `http://127.0.0.1:${port}/sse` } };
  const scheme = transport === 'ws' ? 'ws' : 'http';
  return { [transport]: { url: `${scheme}://127.0.0.1:${port}/mcp`, era } };
}
