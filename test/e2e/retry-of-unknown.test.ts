// The same call again, when nobody knows whether the first one ran: after a deadline, a server that died, a gate that was killed.

import { afterAll, describe, expect } from 'vitest';
import { proves } from '../guarantees.ts';
import { closeInstallations } from '../support/cli.ts';
import { counterGate } from '../support/counter-gate.ts';
import { callsOf, entriesOf } from '../support/evidence.ts';
import { denialOf, textOf } from '../support/raw-mcp.ts';

afterAll(closeInstallations);

describe('a call that may have run', () => {
  proves(
    'G3',
    'is denied when it comes again, also at the next start after a kill, until a person has looked',
    async () => {
      const counter = counterGate({ limits: { timeoutMs: 2_000 } });
      const first = await counter.wrapped();
      expect(denialOf(await first.call('sleep', { ms: 60_000 }))).toBe('DEADLINE_EXCEEDED');
      const again = await first.call('sleep', { ms: 60_000 });
      expect(denialOf(again)).toBe('RETRY_OF_UNKNOWN');
      expect(textOf(again)).toContain('portcullis calls unknown');
      // Nobody else is held up by that.
      expect((await first.call('sleep', { ms: 1 }))?.result).toMatchObject({ content: [{ text: 'slept' }] });
      // Killed while another one is with the tool.
      const killed = first.call('sleep', { ms: 50_000 });
      await intended(counter, 'sleep', 3);
      await first.running.kill();
      await killed;

      const next = await counter.wrapped();
      expect(denialOf(await next.call('sleep', { ms: 50_000 }))).toBe('RETRY_OF_UNKNOWN');
      expect(denialOf(await next.call('sleep', { ms: 60_000 }))).toBe('RETRY_OF_UNKNOWN');
      const listed = await counter.at.run(['calls', 'unknown', '--json']);
      const { calls } = JSON.parse(listed.stdout) as { calls: { call: string; code: string; tool: string }[] };
      expect(calls.map(({ code }) => code)).toEqual(['DEADLINE_EXCEEDED', 'CRASH_INDETERMINATE']);
      expect(listed.stdout).not.toContain('60000');

      const [timedOut, crashed] = calls.map(({ call }) => call) as [string, string];
      expect(await counter.at.run(['calls', 'settle', timedOut])).toMatchObject({ code: 2 });
      expect(await counter.at.run(['calls', 'settle', 'nobody', '--ran'])).toMatchObject({ code: 2 });
      expect(denialOf(await next.call('sleep', { ms: 60_000 }))).toBe('RETRY_OF_UNKNOWN');
      const settled = await counter.at.run(['calls', 'settle', timedOut, '--did-not-run']);
      expect({ ...settled }).toMatchObject({ code: 0 });
      expect(settled.stdout).toContain(`settled  ${timedOut}  did-not-run`);
      // It goes to the tool again, and takes as long as before.
      expect(denialOf(await next.call('sleep', { ms: 60_000 }))).toBe('DEADLINE_EXCEEDED');
      expect(denialOf(await next.call('sleep', { ms: 50_000 }))).toBe('RETRY_OF_UNKNOWN');
      next.running.child.stdin.end();
      await next.running.ended;

      // Where no gate runs the word waits for the next one.
      const offline = await counter.at.run(['calls', 'settle', crashed, '--ran']);
      expect(offline.stdout).toContain('holds from its next start on');
      const last = await counter.wrapped();
      expect(denialOf(await last.call('sleep', { ms: 50_000 }))).toBe('DEADLINE_EXCEEDED');
      last.running.child.stdin.end();
      await last.running.ended;
      const ledger = counter.at.ledger('counter');
      const said = (await entriesOf(ledger)).filter(({ type }) => type === 'call.settled');
      expect(said.map(({ of, as }) => [of, as])).toEqual([
        [timedOut, 'did-not-run'],
        [crashed, 'ran'],
      ]);
      expect(await counter.at.audit(['verify', ledger])).toMatchObject({ code: 0 });
      expect(await counter.at.audit(['replay', ledger])).toMatchObject({ code: 0 });
    },
    90_000,
  );

  proves(
    'G3',
    'is denied after its server died, and not where the manifest lets it be made again',
    async () => {
      for (const [retryAfterUnknown, expected] of [
        [undefined, 'RETRY_OF_UNKNOWN'],
        ['allow', 'TOOL_LOST'],
      ] as const) {
        const counter = counterGate(retryAfterUnknown === undefined ? {} : { server: { retryAfterUnknown } });
        const client = await counter.served();
        expect(denialOf(await client.client.call('die', {}))).toBe('TOOL_LOST');
        let second = denialOf(await client.client.call('die', {}));
        // It is started again first.
        for (let turn = 0; turn < 100 && second === 'SERVER_UNAVAILABLE'; turn++) {
          await new Promise((resolve) => setTimeout(resolve, 50));
          second = denialOf(await client.client.call('die', {}));
        }
        expect(second).toBe(expected);
        await client.gate.kill();
      }
    },
    60_000,
  );

  proves(
    'G3',
    'is kept by the gate beside, also when that died with it and nobody has started it again',
    async () => {
      const counter = counterGate({ limits: { timeoutMs: 2_000 } });
      const [one, two] = [await counter.wrapped(), await counter.wrapped()];
      expect(denialOf(await one.call('sleep', { ms: 60_000 }))).toBe('DEADLINE_EXCEEDED');
      // As old as what a gate knows of those beside it.
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(denialOf(await two.call('sleep', { ms: 60_000 }))).toBe('RETRY_OF_UNKNOWN');
      expect((await two.call('sleep', { ms: 2 }))?.result).toBeDefined();
      const cut = two.call('sleep', { ms: 50_000 });
      await intended(counter, 'sleep', 2, 'counter.2');
      for (const client of [one, two]) await client.running.kill();
      await cut;
      const next = await counter.wrapped();
      expect(denialOf(await next.call('sleep', { ms: 50_000 }))).toBe('RETRY_OF_UNKNOWN');
      const ended = (await callsOf(counter.at, 'counter.2')).filter(({ status }) => status === 'unknown');
      expect(ended.map(({ code }) => code)).toEqual(['CRASH_INDETERMINATE']);
      await next.running.kill();
    },
    60_000,
  );
});

/** Waits until so many calls of a tool were intended. */
async function intended(
  counter: ReturnType<typeof counterGate>,
  tool: string,
  many: number,
  gate = 'counter',
): Promise<void> {
  for (let turn = 0; turn < 200; turn++) {
    const calls = await callsOf(counter.at, gate);
    if (calls.filter((call) => call.tool === tool && call.intent !== undefined).length >= many) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it was never intended');
}
