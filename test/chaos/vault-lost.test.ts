// The payloads of a ledger are gone, erased or lost with their disk: what the ledger says of its calls stands without them.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { closeInstallations } from '../support/cli.ts';
import { counterGate } from '../support/counter-gate.ts';
import { callsOf } from '../support/evidence.ts';

afterEach(closeInstallations);

it('a ledger without its payloads verifies, says that its decisions cannot be replayed, and is gone on with', async () => {
  const counter = counterGate();
  const first = await counter.wrapped();
  await first.call('count', { by: 1 });
  first.running.child.stdin.end();
  await first.running.ended;
  const ledger = counter.at.ledger('counter');
  const vault = join(ledger, 'vault');
  expect(readdirSync(vault).length).toBeGreaterThan(0);
  for (const name of readdirSync(vault)) rmSync(join(vault, name));

  expect(await counter.at.audit(['verify', ledger])).toMatchObject({ code: 0 });
  const { code, stdout } = await counter.at.audit(['replay', ledger, '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    ok: true,
    transitionsMatch: 1,
    decisionsMatch: 0,
    decisionsNotReplayable: 1,
  });

  const next = await counter.wrapped();
  expect((await next.call('count', { by: 2 }))?.result).toMatchObject({ content: [{ type: 'text' }] });
  next.running.child.stdin.end();
  await next.running.ended;
  expect((await callsOf(counter.at, 'counter')).map(({ status, args }) => [status, args])).toEqual([
    ['completed', undefined],
    ['completed', { by: 2 }],
  ]);
}, 60_000);
