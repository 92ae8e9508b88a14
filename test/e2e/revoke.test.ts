// Authority taken away from a gate that runs, and from one that does not, by its operator on the command line.

import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { proves } from '../guarantees.ts';
import { closeInstallations } from '../support/cli.ts';
import { counterGate } from '../support/counter-gate.ts';
import { callsOf, entriesOf } from '../support/evidence.ts';
import { denialOf, textOf } from '../support/raw-mcp.ts';

afterAll(closeInstallations);

const until = async (happened: () => boolean | Promise<boolean>): Promise<void> => {
  for (let turn = 0; turn < 400; turn += 1) {
    if (await happened()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it does not happen');
};

/** What a gate says to some bytes on its socket. */
const said = (path: string, bytes: string | Uint8Array): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    let text = '';
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on('close', () => resolve(text));
    socket.end(bytes);
  });

describe('a revocation from the command line', () => {
  it('of nothing that there is, is refused with what there is', async () => {
    const counter = counterGate();
    expect(await counter.at.run(['revoke', 'agent', 'me'])).toMatchObject({ code: 2 });
    const client = await counter.wrapped();
    client.running.child.stdin.end();
    await client.running.ended;
    const unknown = await counter.at.run(['revoke', 'everything', 'x']);
    expect(unknown).toMatchObject({ code: 2 });
    expect(unknown.stderr).toContain('one of: permit, execution, root');
    const elsewhere = await counter.at.run(['revoke', 'agent', 'me', '--name', 'other']);
    expect(elsewhere).toMatchObject({ code: 2 });
    expect(elsewhere.stderr).toContain('gates: counter');
    expect(await counter.at.run(['revoke', 'agent', ''])).toMatchObject({ code: 2 });
  });

  for (const [kind, idOf] of [
    ['execution', (call: string) => call],
    ['root', (call: string) => call],
    ['agent', () => 'me'],
    ['server', () => 'counter'],
    ['tool', () => 'counter/sleep'],
  ] as const) {
    proves(
      'G12',
      `of the ${kind} stops the call that runs, and it is recorded`,
      async () => {
        const counter = counterGate();
        const client = await counter.wrapped();
        const sleeping = client.call('sleep', { ms: 25_000 });
        const ledger = counter.at.ledger('counter');
        await until(async () => (await entriesOf(ledger)).some(({ type }) => type === 'call.intent'));
        const [running] = await callsOf(counter.at, 'counter');
        const revoked = await counter.at.run(['revoke', kind, idOf(running?.call ?? ''), '--json']);
        expect(JSON.parse(revoked.stdout)).toMatchObject({
          order: 1,
          gates: [{ gate: 'counter', running: true, stopped: 1 }],
          failed: [],
        });
        expect(denialOf(await sleeping)).toBe('LINEAGE_REVOKED');
        const again = denialOf(await client.call('sleep', { ms: 1 }));
        if (kind === 'execution' || kind === 'root') expect(again).toBeUndefined();
        else expect(again).toBe(`REVOKED_${kind.toUpperCase()}`);
        client.running.child.stdin.end();
        expect((await client.running.ended).code).toBe(0);
        expect((await callsOf(counter.at, 'counter'))[0]).toMatchObject({ code: 'LINEAGE_REVOKED' });
        // It is one history for all of them.
        if (kind !== 'root') return;
        expect(await counter.at.audit(['verify', ledger])).toMatchObject({ code: 0 });
        const replayed = await counter.at.audit(['replay', ledger, '--json']);
        expect(JSON.parse(replayed.stdout)).toMatchObject({ ok: true });
      },
      60_000,
    );
  }

  proves(
    'G12',
    'of what lies under it stops everything that was permitted',
    async () => {
      for (const [kind, member] of [
        ['policy', 'policy'],
        ['key', 'kid'],
      ] as const) {
        const counter = counterGate();
        const client = await counter.wrapped();
        const sleeping = client.call('sleep', { ms: 25_000 });
        const ledger = counter.at.ledger('counter');
        await until(async () => (await entriesOf(ledger)).some(({ type }) => type === 'call.intent'));
        const { permit } = JSON.parse((await counter.at.run(['keys', '--json'])).stdout) as { permit: { kid: string } };
        const policy = (await entriesOf(ledger)).find(({ type }) => type === 'policy.installed')?.policy;
        const id = member === 'kid' ? permit.kid : String(policy);
        expect(await counter.at.run(['revoke', kind, '--', id])).toMatchObject({ code: 0 });
        expect(denialOf(await sleeping)).toBe(`REVOKED_${kind.toUpperCase()}`);
        client.running.child.stdin.end();
        await client.running.ended;
      }
    },
    60_000,
  );

  it('of an agent at a gate that does not run holds when it does', async () => {
    const counter = counterGate();
    const first = await counter.wrapped();
    expect(textOf(await first.call('count', { by: 1 }))).toBe('1');
    first.running.child.stdin.end();
    await first.running.ended;
    const revoked = await counter.at.run(['revoke', 'agent', 'me']);
    expect(revoked).toMatchObject({ code: 0 });
    expect(revoked.stdout).toContain('not running: holds from its next start on');
    const second = await counter.wrapped();
    expect(denialOf(await second.call('count', { by: 2 }))).toBe('REVOKED_AGENT');
    second.running.child.stdin.end();
    await second.running.ended;
    expect(readFileSync(counter.heard, 'utf8')).toBe('{"by":1}\n');
    expect(await counter.at.audit(['verify', counter.at.ledger('counter')])).toMatchObject({ code: 0 });
  });

  proves(
    'G12',
    'holds at a gate of that name that starts later, beside the one that runs',
    async () => {
      const counter = counterGate();
      const first = await counter.wrapped();
      expect(textOf(await first.call('count', { by: 1 }))).toBe('1');
      expect(await counter.at.run(['revoke', 'tool', 'counter/count'])).toMatchObject({ code: 0 });
      const second = await counter.wrapped();
      expect(second.running.stderr).toContain('trying the next');
      for (const client of [first, second]) {
        expect(denialOf(await client.call('count', { by: 2 }))).toBe('REVOKED_TOOL');
        client.running.child.stdin.end();
        expect((await client.running.ended).code).toBe(0);
      }
      expect(readFileSync(counter.heard, 'utf8')).toBe('{"by":1}\n');
      for (const gate of ['counter', 'counter.2'])
        expect(await counter.at.audit(['verify', counter.at.ledger(gate)])).toMatchObject({ code: 0 });
    },
    60_000,
  );

  it('that was taken away shuts the gate that runs', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    expect(await counter.at.run(['revoke', 'agent', 'somebody'])).toMatchObject({ code: 0 });
    expect(textOf(await client.call('count', { by: 1 }))).toBe('1');
    rmSync(join(counter.at.home, 'state', 'orders.json'));
    await until(async () => denialOf(await client.call('count', { by: 2 })) === 'GOV_REVOCATION_STALE');
    expect(client.running.stderr).toContain('what was ordered of this gate is not known');
    client.running.child.stdin.end();
    await client.running.ended;
  });

  it('comes through a socket that nobody else can open, and that takes nothing but that', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    const path = join(counter.at.home, 'state', 'gates', 'counter', 'control.sock');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    for (const bytes of [
      '\n',
      'null\n',
      '[]\n',
      '{}\n',
      '{"op":"revoke","kind":"agent","id":"me"}\n',
      '{"op":"stop"}\n',
      '{"op":["take-orders"]}\n',
      '{"a":1,"a":2}\n',
      Buffer.from([0xff, 0x0a]),
      '',
    ]) {
      expect(JSON.parse(await said(path, bytes))).toHaveProperty('error');
    }
    await said(path, 'x'.repeat(200_000)).catch(() => '');
    expect(textOf(await client.call('count', { by: 1 }))).toBe('1');
    client.running.child.stdin.end();
    expect((await client.running.ended).code).toBe(0);
    expect((await entriesOf(counter.at.ledger('counter'))).some(({ type }) => type === 'revocation.added')).toBe(false);
  });
});

describe('a halt from the command line', () => {
  proves(
    'G12',
    'stops what runs, lets nothing pass, outlives the gate, and is lifted',
    async () => {
      const counter = counterGate();
      const first = await counter.wrapped();
      const sleeping = first.call('sleep', { ms: 25_000 });
      const ledger = counter.at.ledger('counter');
      await until(async () => (await entriesOf(ledger)).some(({ type }) => type === 'call.intent'));
      const halted = await counter.at.run(['halt', '--reason', 'a look at the logs']);
      expect(halted.stdout).toContain('halted  1 running call(s) stopped');
      expect(denialOf(await sleeping)).toBe('GOV_HALTED');
      expect(denialOf(await first.call('count', { by: 1 }))).toBe('GOV_HALTED');
      first.running.child.stdin.end();
      await first.running.ended;

      const second = await counter.wrapped();
      expect(second.running.stderr).toContain('halted by its operator: a look at the logs');
      expect(denialOf(await second.call('count', { by: 2 }))).toBe('GOV_HALTED');
      expect((await counter.at.run(['resume'])).stdout).toContain('resumed');
      expect(textOf(await second.call('count', { by: 3 }))).toBe('1');
      second.running.child.stdin.end();
      await second.running.ended;

      expect(await counter.at.run(['halt'])).toMatchObject({ code: 0 });
      expect(await counter.at.run(['resume'])).toMatchObject({ code: 0 });
      const facts = (await entriesOf(ledger)).map(({ type }) => type).filter((type) => type.startsWith('gate.'));
      expect(facts).toEqual(['gate.halted', 'gate.resumed']);
      expect(readFileSync(counter.heard, 'utf8')).toBe('{"by":3}\n');
      expect(await counter.at.audit(['verify', ledger])).toMatchObject({ code: 0 });
    },
    60_000,
  );

  it('that was altered keeps the gate shut', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    client.running.child.stdin.end();
    await client.running.ended;
    expect(await counter.at.run(['halt'])).toMatchObject({ code: 0 });
    const file = join(counter.at.home, 'state', 'orders.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('by its operator', 'by somebody else'));
    const shut = counter.wrap();
    shut.child.stdin.end();
    expect((await shut.ended).code).toBe(7);
  });
});
