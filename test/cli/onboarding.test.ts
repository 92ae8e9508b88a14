// From a client's file to a governed call and back, each step as a person types it and a client starts it.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { closeInstallations, installation } from '../support/cli.ts';
import { RawStdio } from '../support/raw-mcp.ts';

afterAll(closeInstallations);

const FILE = '.cursor/mcp.json';

interface Entry {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

describe('a server of a client', { timeout: 120_000 }, () => {
  const at = installation();
  const heard = at.path('heard');
  const text = `{\n  // mine\n  "mcpServers": {\n    "counter": ${JSON.stringify({
    command: process.execPath,
    args: [fixtureServer('counter.mjs')],
    env: { COUNTER_FILE: heard },
  })},\n  },\n}\n`;
  const file = at.write(FILE, text);
  const entry = (): Entry => {
    const line = readFileSync(file, 'utf8')
      .split('\n')
      .find((one) => one.includes('"counter"'));
    return JSON.parse(line?.trim().replace(/^"counter": |,$/g, '') ?? '') as Entry;
  };
  const asClient = (): RawStdio => {
    const { command, args, env } = entry();
    expect(command).toBe(process.execPath);
    return new RawStdio(at.start(args.slice(1), { env, approve: 'no' }));
  };

  it('is governed after init and an approval with what is allowed, and as before after restore', async () => {
    expect(await at.run(['init', '--yes'])).toMatchObject({ code: 0, stderr: expect.not.stringContaining(heard) });
    const review = JSON.parse((await at.run(['tools', 'review', 'counter', '--json'])).stdout) as {
      servers: { digest: string }[];
    };
    const digest = review.servers[0]?.digest ?? '';
    const wrong = await at.run(['tools', 'approve', 'counter', '--digest', digest, '--allow', 'cuont']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('its tools: count, echo') });
    const approved = await at.run(['tools', 'approve', 'counter', '--digest', digest, '--allow', 'count']);
    expect(approved, approved.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining('allowed: count') });

    const client = asClient();
    await client.initialize();
    const counted = await client.call('count', { by: 1 });
    // What the client's entry says was approved with it: another value would be another server.
    expect(counted?.result, client.running.stderr).toMatchObject({ content: [{ text: '1' }] });
    expect(readFileSync(heard, 'utf8')).toBe('{"by":1}\n');
    const refused = await client.call('echo', { text: 'hello' });
    // What no rule allows is not even offered.
    expect(refused?.error).toMatchObject({ message: 'Unknown tool: echo' });
    await client.running.stop();

    expect(await at.run(['restore', '--all'])).toMatchObject({ code: 0 });
    expect(readFileSync(file, 'utf8')).toBe(text);
    // The gate that its clients shared ends with it.
    const gone = await at.run(['uninstall', '--yes', '--json']);
    expect(gone, gone.stderr).toMatchObject({ code: 0 });
    const { kept } = JSON.parse(gone.stdout) as { kept: string };
    const [gate = ''] = readdirSync(join(kept, 'gates'));
    expect(await at.run(['verify', join(kept, 'gates', gate, 'ledger')])).toMatchObject({ code: 0 });
  });
});
