// The world around a gate fails: the disk is full, the ledger's files go away, the tool server hangs or dies, the client is gone. The gate
// denies, says why, lives, and goes on by itself when the world is well again; the ledger tells the truth about all of it.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations } from '../support/cli.ts';
import { type CounterGate, counterGate } from '../support/counter-gate.ts';
import { callsOf, heardIn } from '../support/evidence.ts';
import { goneWithin, processesNaming } from '../support/processes.ts';
import { denialOf, RawStdio, textOf } from '../support/raw-mcp.ts';

const mounted: string[] = [];

afterEach(async () => {
  await closeGatesFirst();
  await closeInstallations();
});

async function closeGatesFirst(): Promise<void> {
  for (const path of mounted.splice(0)) spawnSync('umount', ['-l', path]);
}

/** Every call that the tool heard was intended before, every call has one ending, and the ledger verifies and replays. */
async function expectTruth(counter: CounterGate, gate = 'counter'): Promise<void> {
  const calls = await callsOf(counter.at, gate);
  expect(calls.filter(({ endings }) => endings.length !== 1)).toEqual([]);
  const intended = calls.flatMap(({ intent, args }) => (intent === undefined ? [] : [(args as JsonObject)?.by]));
  const heard = heardIn(counter.heard).map(({ by }) => by as number);
  expect(heard.filter((by) => !intended.includes(by))).toEqual([]);
  expect(await counter.at.audit(['verify', counter.at.ledger(gate)])).toMatchObject({ code: 0 });
  expect(await counter.at.audit(['replay', counter.at.ledger(gate)])).toMatchObject({ code: 0 });
}

/** Calls until the gate lets calls through again; the world has just been mended. */
async function untilOpen(client: RawStdio, by: number): Promise<void> {
  // Each time another call: one that was cut off is not made again.
  let tries = 0;
  const answered = () => client.call('count', { by: by + ++tries / 1_000 }).then((reply) => denialOf(reply) ?? 'none');
  try {
    await expect.poll(answered, { timeout: 25_000, interval: 250 }).toBe('none');
  } catch (error) {
    throw new Error(`the gate stays shut, and says: ${client.running.stderr}`, { cause: error });
  }
}

async function endWell(client: RawStdio): Promise<void> {
  client.running.child.stdin.end();
  const { code, stderr } = await client.running.ended;
  expect(code, stderr).toBe(0);
}

/** What no call may do while the ledger cannot be written. */
async function expectShut(client: RawStdio, counter: CounterGate): Promise<void> {
  const before = heardIn(counter.heard).length;
  for (let by = 1000; by < 1005; by++) {
    const reply = await client.call('count', { by });
    expect(denialOf(reply), JSON.stringify(reply)).toBe('GOV_LEDGER_UNWRITABLE');
    expect(textOf(reply)).toContain(
      'the gate is shut: its ledger cannot be written. Not executed. It can be tried again',
    );
  }
  expect(heardIn(counter.heard).length).toBe(before);
  expect((await client.ask('ping'))?.result).toEqual({});
}

describe('a ledger that cannot be written', () => {
  proves(
    'G6',
    'on a full disk nothing executes, the process lives, and the gate opens by itself when there is room',
    async () => {
      const counter = counterGate();
      const folder = join(counter.at.home, 'state', 'gates', 'counter');
      mkdirSync(folder, { recursive: true });
      const tmpfs = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', folder]).status === 0;
      if (tmpfs) mounted.push(folder);
      const client = await counter.wrapped();
      expect(denialOf(await client.call('count', { by: 1 }))).toBeUndefined();
      const segment = join(folder, 'ledger', 'seg', '000000000000.jsonl');
      const limit = (bytes: number | 'unlimited') =>
        spawnSync('prlimit', ['--pid', String(client.running.pid), `--fsize=${bytes}:unlimited`]).status;

      // Where we may not mount, a limit on the size of files is as full as a disk can be.
      if (tmpfs) fill(join(folder, 'filler'));
      else expect(limit(statSync(segment).size)).toBe(0);
      const during = await Promise.all(Array.from({ length: 20 }, (_, at) => client.call('count', { by: 100 + at })));
      expect(during.map(denialOf)).toContain('GOV_LEDGER_UNWRITABLE');
      await expectShut(client, counter);
      expect(client.running.stderr).toMatch(/the ledger failed and the gate is shut/);

      if (tmpfs) rmSync(join(folder, 'filler'));
      else limit('unlimited');
      await untilOpen(client, 2);
      await endWell(client);
      await expectTruth(counter);
    },
    90_000,
  );

  it('for errors of the disk shuts the gate, and no call in flight is executed', async () => {
    const counter = counterGate();
    const before = ['strace', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null'];
    const traced = spawnSync('strace', ['-f', '-qq', '-e', 'trace=none', 'true'], { stdio: 'ignore' }).status === 0;
    if (!traced) {
      expect(process.env.CI, 'strace must work in CI').not.toBe('true');
      return;
    }
    const inject = ['-e', 'trace=pwrite64', '-e', 'inject=pwrite64:error=EIO:when=16..18'];
    const client = new RawStdio(counter.wrap({ before: [...before, ...inject], env: { UV_THREADPOOL_SIZE: '1' } }));
    await client.initialize();
    let by = 1;
    let denied: string | undefined;
    while (denied === undefined && by < 20) denied = denialOf(await client.call('count', { by: by++ }));
    expect(denied).toBe('GOV_LEDGER_UNWRITABLE');
    await untilOpen(client, 50);
    await endWell(client);
    await expectTruth(counter);
  }, 60_000);

  it('because its lock was removed shuts the gate, and it locks and opens anew', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    expect(denialOf(await client.call('count', { by: 1 }))).toBeUndefined();
    rmSync(join(counter.at.ledger('counter'), 'LOCK'));
    expect(denialOf(await client.call('count', { by: 2 }))).toBe('GOV_LEDGER_UNWRITABLE');
    expect(heardIn(counter.heard)).toEqual([{ by: 1 }]);
    await untilOpen(client, 3);
    await endWell(client);
    await expectTruth(counter);
  }, 60_000);

  proves(
    'G7',
    'a ledger that was taken away is not begun anew: the gate stays shut until it is back',
    async () => {
      const counter = counterGate();
      const client = await counter.wrapped();
      for (let by = 1; by <= 3; by++) expect(denialOf(await client.call('count', { by }))).toBeUndefined();
      // Once a second what the ledger holds is written down outside of it.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      const ledger = counter.at.ledger('counter');
      renameSync(ledger, `${ledger}.away`);
      expect(denialOf(await client.call('count', { by: 4 }))).toBe('GOV_LEDGER_UNWRITABLE');
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      await expectShut(client, counter);
      rmSync(ledger, { recursive: true, force: true });
      renameSync(`${ledger}.away`, ledger);
      await untilOpen(client, 5);
      await endWell(client);
      await expectTruth(counter);
    },
    60_000,
  );
});

function fill(path: string): void {
  for (let bytes = 65_536; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(bytes), { flag: 'a' });
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
    }
  }
}

/** The process of the tool server itself. */
function toolServer(counter: CounterGate): number {
  const [found] = processesNaming(counter.heard).filter(({ command }) => !command.includes('portcullis.js'));
  if (found === undefined) throw new Error('there is no tool server');
  return found.pid;
}

describe('a tool server', () => {
  it('that hangs: the call times out and may have run; a new server answers again', async () => {
    const counter = counterGate({ limits: { timeoutMs: 1_000 } });
    const client = await counter.wrapped();
    await client.call('count', { by: 1 });
    const pid = toolServer(counter);
    process.kill(pid, 'SIGSTOP');
    const late = await client.call('count', { by: 2 });
    expect(denialOf(late)).toBe('DEADLINE_EXCEEDED');
    expect(textOf(late)).toContain('It may have been executed');
    process.kill(pid, 'SIGKILL');
    await untilOpen(client, 3);
    await endWell(client);
    const calls = await callsOf(counter.at, 'counter');
    expect(calls.find(({ args }) => (args as JsonObject).by === 2)).toMatchObject({ status: 'timed_out' });
    await expectTruth(counter);
  }, 60_000);

  it('that dies during a call: the outcome is unknown, the gate lives and starts another', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    const dying = await client.call('die', {});
    expect(denialOf(dying)).toBe('TOOL_LOST');
    await untilOpen(client, 1);
    const sleeping = client.call('sleep', { ms: 60_000 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    process.kill(toolServer(counter), 'SIGKILL');
    expect(denialOf(await sleeping)).toBe('TOOL_LOST');
    await untilOpen(client, 2);
    await endWell(client);
    const calls = await callsOf(counter.at, 'counter');
    expect(calls.filter(({ status }) => status === 'unknown').map(({ tool }) => tool)).toEqual(['die', 'sleep']);
    await expectTruth(counter);
  }, 60_000);
});

describe('two gates of one name', () => {
  it('write a ledger each, side by side, and both verify', async () => {
    const counter = counterGate();
    const [first, second] = [await counter.wrapped(), await counter.wrapped()];
    expect(second.running.stderr).toContain('the ledger of counter is in use by another gate; trying the next');
    await Promise.all([first, second].map((client, at) => client.call('count', { by: at })));
    await Promise.all([endWell(first), endWell(second)]);
    for (const gate of ['counter', 'counter.2']) {
      expect((await callsOf(counter.at, gate)).map(({ status }) => status)).toEqual(['completed']);
      expect(await counter.at.audit(['verify', counter.at.ledger(gate)])).toMatchObject({ code: 0 });
    }
    expect(existsSync(counter.at.ledger('counter.3'))).toBe(false);
  }, 60_000);
});

describe('a client', () => {
  it('that closes its side during a call still gets the answer', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    const answer = client.call('sleep', { ms: 500 });
    client.running.child.stdin.end();
    expect(textOf(await answer)).toBe('slept');
    expect((await client.running.ended).code).toBe(0);
    expect(await goneWithin(counter.heard, 2_000)).toEqual([]);
    await expectTruth(counter);
  }, 30_000);

  it('that stops listening ends the gate, which ends its calls and its server', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    const { child, ended } = client.running;
    child.stdout.destroy();
    void client.call('sleep', { ms: 60_000 });
    void client.call('count', { by: 1 });
    const { signal } = await ended;
    expect(signal).toBe(null);
    expect(await goneWithin(counter.heard, 2_000)).toEqual([]);
    const calls = await callsOf(counter.at, 'counter');
    expect(calls.find(({ tool }) => tool === 'sleep')).toMatchObject({ code: 'CANCELLED' });
    await expectTruth(counter);
  }, 30_000);

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'that stops the gate with %s finds every call ended',
    async (name) => {
      const counter = counterGate();
      const client = await counter.wrapped();
      const cut = client.call('sleep', { ms: 60_000 });
      await client.call('count', { by: 1 });
      client.running.signal(name);
      await cut;
      expect(await client.running.ended).toMatchObject({ code: 0, signal: null });
      expect(await goneWithin(counter.heard, 2_000)).toEqual([]);
      await expectTruth(counter);
    },
    30_000,
  );
});
