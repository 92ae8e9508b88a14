// The everything server over Streamable HTTP, on a port that was free a moment ago.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { referenceServer } from '../fixtures/servers/paths.ts';

export async function everythingOverHttp(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  const env = { PATH: process.env.PATH ?? '', PORT: String(port) };
  const child = spawn(process.execPath, [referenceServer('everything'), 'streamableHttp'], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'close');
  let said = '';
  while (!said.includes(String(port))) said += String((await once(child.stderr, 'data'))[0]);
  child.stderr.resume();
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
