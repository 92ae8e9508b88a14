// One agent as a process of its own: `node agent-process.js NAME`, with what it proves itself with in AGENT_CREDENTIAL. Says on standard output where it listens and then what
// it does, one line of JSON each; hears on standard input where its gate is. With the input it ends.

import { createInterface } from 'node:readline';
import { serveAgent } from './agent-server.ts';
import type { Credential } from './credential.ts';
import { type GateClient, gateClient } from './gate-client.ts';
import { REVIEWER } from './reviewer.ts';
import { WORKER } from './worker.ts';

const [, , name = ''] = process.argv;
const tools = { reviewer: REVIEWER, worker: WORKER }[name];
if (tools === undefined) throw new Error(`there is no agent "${name}"`);

const credential = JSON.parse(process.env.AGENT_CREDENTIAL ?? '') as Credential;

const say = (event: object): void => {
  process.stdout.write(`${JSON.stringify({ at: performance.timeOrigin + performance.now(), ...event })}\n`);
};
const lines = createInterface({ input: process.stdin });
const told = new Promise<string>((resolve) => lines.once('line', resolve));
/** Connects with its first call: when it starts there is no gate yet. */
const connected: { client?: Promise<GateClient> } = {};
const gate = (): Promise<GateClient> => {
  connected.client ??= told.then((url) => gateClient(name, url, credential));
  return connected.client;
};

const agent = await serveAgent({
  name,
  tools,
  gate,
  onToken: (token) => say({ token }),
  onCall: (use) => say({ use }),
  onSeen: (seen) => say({ seen }),
});
say({ url: agent.url });
lines.on('line', (line) => {
  if (line === 'heard?') say({ heard: true });
});
lines.on('close', () => process.exit(0));
