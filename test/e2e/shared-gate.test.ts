// One gate for all entries of a client's configuration: started by the first, shared by all, gone when nobody needs it.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { EXIT } from '../../cli/exit-codes.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Installation, type RunningCommand } from '../support/cli.ts';
import { type CounterGate, counterGate } from '../support/counter-gate.ts';
import { processesNaming } from '../support/processes.ts';
import { type RawReply, RawStdio } from '../support/raw-mcp.ts';

const AGENTS = { claude: { roles: ['dev'], auth: 'local' }, codex: { roles: ['dev'], auth: 'local' } } as const;

afterEach(async () => {
  await closeInstallations();
});

/** A folder of its own in the manifest is what makes a server one that clients can share. */
function sharedCounter(options: Parameters<typeof counterGate>[0] = {}): CounterGate {
  const made = counterGate({ agents: AGENTS, ...options });
  const file = made.at.path('home', 'portcullis.yaml');
  const manifest = JSON.parse(readFileSync(file, 'utf8'));
  manifest.servers.counter.stdio.cwd = made.at.folder;
  writeFileSync(file, JSON.stringify(manifest));
  return made;
}

/** Started by the test, so that the test can end it; whoever joins finds it there. */
async function gateOf(at: Installation, idleMs = 60_000): Promise<RunningCommand> {
  const gate = at.start(['gate', '--idle-ms', String(idleMs)]);
  await gate.says(/ledger /);
  return gate;
}

function entry({ at, line }: CounterGate, agent = 'claude', name = 'counter'): RunningCommand {
  return at.start(['wrap', '--agent', agent, '--name', name, '--', ...line], { shared: true });
}

async function client(of: CounterGate, agent?: string): Promise<RawStdio> {
  const made = new RawStdio(entry(of, agent));
  if ((await made.initialize())?.result === undefined) throw new Error(made.running.stderr);
  return made;
}

function textOf(reply: RawReply | undefined): unknown {
  return (reply?.result?.content as { text: string }[] | undefined)?.[0]?.text;
}

/** Calls that were begun under the shared gate. */
function intents(at: Installation): number {
  const folder = at.ledger('local');
  const texts = readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((one) =>
    one.isFile() ? readFileSync(join(one.parentPath, one.name), 'latin1') : [],
  );
  return texts.join('').split('"call.intent"').length - 1;
}

describe('the gate that clients share', () => {
  it('refuses an agent that the manifest does not know, a command that is not the one it lists, and says why', async () => {
    const counter = sharedCounter();
    await gateOf(counter.at);
    const stranger = await entry(counter, 'stranger').ended;
    expect(stranger.code).toBe(EXIT.usage);
    expect(stranger.stderr).toContain('no agent "stranger"');
    expect(stranger.stderr).toContain('hint: agents with auth: local: claude, codex');
    const other = await counter.at.start(['wrap', '--agent', 'claude', '--name', 'counter', '--', 'true'], {
      shared: true,
    }).ended;
    expect(other.code).toBe(EXIT.usage);
    expect(other.stderr).toContain('servers.counter');
    expect(existsSync(counter.heard)).toBe(false);
  });

  proves(
    'G1',
    'serves several clients under one ledger, each as the agent of its entry, and ends when nobody needs it',
    async () => {
      const counter = sharedCounter();
      const gate = await gateOf(counter.at, 300);
      const clients = await Promise.all([client(counter, 'claude'), client(counter, 'codex')]);
      for (const [at, one] of clients.entries()) expect(textOf(await one.call('count', { by: at }))).toMatch(/^\d$/);
      for (const one of clients) one.running.child.stdin.end();
      for (const one of clients) expect((await one.running.ended).code).toBe(EXIT.ok);
      expect((await gate.ended).code).toBe(EXIT.ok);
      expect(existsSync(join(counter.at.home, 'state', 'gate.sock'))).toBe(false);
      const { code, stdout } = await counter.at.audit(['verify', counter.at.ledger('local'), '--json']);
      expect(code).toBe(EXIT.ok);
      expect(JSON.parse(stdout)).toMatchObject({ ok: true });
      const log = await counter.at.run(['log', counter.at.ledger('local'), '--json']);
      for (const agent of Object.keys(AGENTS)) expect(log.stdout).toContain(`"${agent}"`);
    },
  );

  it('has a process of the server for each entry, from when its client lists the tools, and none once the client is gone', async () => {
    const counter = sharedCounter();
    await gateOf(counter.at);
    const running = () => processesNaming(counter.heard).filter(({ command }) => !command.includes('portcullis.js'));
    const clients = await Promise.all([client(counter, 'claude'), client(counter, 'codex')]);
    for (const one of clients) await one.ask('tools/list');
    await expect.poll(() => running().length, { timeout: 15_000 }).toBe(2);
    expect(intents(counter.at)).toBe(0);
    for (const one of clients) one.running.child.stdin.end();
    await expect.poll(() => running().length, { timeout: 15_000 }).toBe(0);
  });

  it('is started by the first entry, and only once by several at the same time', async () => {
    const counter = sharedCounter();
    const clients = await Promise.all([1, 2, 3].map(() => client(counter)));
    for (const [at, one] of clients.entries()) expect((await one.call('count', { by: at }))?.result).toBeDefined();
    expect(existsSync(counter.at.ledger('local'))).toBe(true);
    expect(existsSync(counter.at.ledger('local.2'))).toBe(false);
    await counter.at.endSharedGate();
    for (const one of clients) expect((await one.running.ended).code).toBe(EXIT.gateShut);
  });

  proves(
    'G6',
    'that is killed in the middle of a call leaves a client that knows, and the next one records what is unknown',
    async () => {
      const counter = sharedCounter();
      const gate = await gateOf(counter.at);
      const first = await client(counter);
      const pending = first.call('sleep', { ms: 60_000 });
      await expect.poll(() => intents(counter.at), { timeout: 15_000 }).toBe(1);
      gate.signal('SIGKILL');
      expect(await pending).toBeUndefined();
      const ended = await first.running.ended;
      expect(ended.code).toBe(EXIT.gateShut);
      expect(ended.stderr).toContain('the gate has ended');
      const next = await gateOf(counter.at, 300);
      const log = await counter.at.run(['log', counter.at.ledger('local')]);
      expect(log.stdout).toContain('unknown');
      await next.ended;
    },
  );

  it('gives way to one that has read the rules when they were changed, and goes on with whom it has', async () => {
    const counter = sharedCounter();
    const gate = await gateOf(counter.at);
    const before = await client(counter);
    counter.at.write(
      'home/policy/rules.cedar',
      '@id("none")\n@reason("nothing")\nforbid (principal, action, resource);\n',
    );
    const after = await client(counter);
    const denied = await after.call('count', { by: 7 });
    expect(JSON.stringify(denied)).toContain('Unknown tool');
    expect((await before.call('count', { by: 8 }))?.result?.isError).toBeUndefined();
    expect(readFileSync(counter.heard, 'utf8')).not.toContain('7');
    before.running.child.stdin.end();
    expect((await gate.ended).code).toBe(EXIT.ok);
    expect(existsSync(counter.at.ledger('local.2'))).toBe(true);
    await counter.at.endSharedGate();
  });

  it('ends on a signal while nobody is there, and not only when it would have ended anyway', async () => {
    const gate = await gateOf(sharedCounter().at, 99_999_999);
    gate.signal('SIGTERM');
    expect((await gate.ended).code).toBe(EXIT.ok);
  });

  it('leaves whoever comes with other secrets than those who are there to a gate of his own', async () => {
    const counter = sharedCounter();
    const file = counter.at.path('home', 'portcullis.yaml');
    const manifest = JSON.parse(readFileSync(file, 'utf8'));
    manifest.servers.counter.stdio.env = { allow: ['TOKEN'] };
    writeFileSync(file, JSON.stringify(manifest));
    await gateOf(counter.at);
    await client(counter, 'claude');
    const line = ['wrap', '--agent', 'codex', '--name', 'counter', '--', ...counter.line];
    const other = new RawStdio(counter.at.start(line, { shared: true, env: { TOKEN: 'another' } }));
    await other.initialize();
    expect(existsSync(counter.at.ledger('counter'))).toBe(true);
  });

  it('leaves an entry to itself of which the manifest says no folder', async () => {
    const counter = counterGate({ agents: AGENTS });
    await gateOf(counter.at);
    const alone = await client(counter);
    expect(alone.running.over).toBe(false);
    expect(existsSync(counter.at.ledger('counter'))).toBe(true);
  });

  it('ends the conversation and what runs in it when the client ends its entry', async () => {
    const counter = sharedCounter();
    await gateOf(counter.at);
    const one = await client(counter);
    void one.call('sleep', { ms: 60_000 });
    await expect.poll(() => intents(counter.at), { timeout: 15_000 }).toBe(1);
    one.running.signal('SIGTERM');
    expect((await one.running.ended).code).toBe(EXIT.ok);
    const log = await counter.at.run(['log', counter.at.ledger('local')]);
    expect(log.stdout).toContain('aborted');
  });

  it('says of a manifest that is not valid what is wrong with it, to whoever comes', async () => {
    const counter = sharedCounter();
    counter.at.write('home/portcullis.yaml', 'apiVersion: portcullis/v1\nagent: {}\n');
    const ended = await entry(counter).ended;
    expect(ended.code).not.toBe(EXIT.ok);
    expect(ended.stderr).toContain('portcullis.yaml:2');
  });
});
