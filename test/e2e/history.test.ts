// Rules that ask what was done before, at a real gate: what it knows outlives it, and every decision is made again from what was recorded.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect } from 'vitest';
import { Denied } from '../../adapters/tools/denied.ts';
import { agentOf, govern } from '../../adapters/tools/govern.ts';
import { tool } from '../../adapters/tools/tool-function.ts';
import { replayLedger } from '../../cli/commands/replay.ts';
import { output } from '../../cli/output.ts';
import { proves } from '../guarantees.ts';
import { closePrograms, openProgram, temporaryHome } from '../support/program-gate.ts';

afterAll(closePrograms);

const RULES = `@id("all") @reason("the assistant works in the office")
permit (principal, action in Portcullis::Action::"office:tools/call", resource);

@id("not-after-private") @reason("what was just read does not leave")
forbid (principal, action == Portcullis::Action::"office/send", resource)
when { context.history.agentUsed.contains("private") || context.history.chainUsed.contains("private") };

@id("as-always") @reason("nothing is erased in a new way")
forbid (principal, action == Portcullis::Action::"office/erase", resource)
when { context.history.newShape && !context.history.firstUse };

@id("not-in-bulk") @reason("no more than three in a minute")
forbid (principal, action == Portcullis::Action::"office/erase", resource)
when { context.history.rate > 3 && context.history.burst > 100 };
`;

const text = { type: 'object' as const, properties: { id: { type: 'string' }, all: { type: 'boolean' } } };
const does = (name: string) => tool({ description: name, inputSchema: text, execute: () => name });
const functions = { read: does('read'), send: does('send'), erase: does('erase') };

async function office(home: string) {
  const program = await openProgram({
    home,
    rules: RULES,
    manifest: {
      agents: { assistant: { auth: 'local' }, other: { auth: 'local' } },
      servers: { office: { inProcess: {} } },
      groups: { private: ['office/read'] },
      history: { used: { private: 3_600_000 } },
    },
  });
  const { tools } = govern(functions, program.gate, { agent: 'assistant', server: 'office' });
  const other = agentOf(program.gate, 'other');
  await program.gate.ready();
  const by = async (promise: Promise<unknown>): Promise<string> => {
    try {
      return String(await promise);
    } catch (error) {
      if (!(error instanceof Denied)) throw error;
      return error.code;
    }
  };
  return {
    gate: program.gate,
    assistant: {
      read: () => by(tools.read({ id: 'a' })),
      send: () => by(tools.send({ id: 'a' })),
      erase: (args: { id?: string; all?: boolean }) => by(tools.erase(args)),
    },
    other: { send: () => by(other.call('office__send', { id: 'a' }).then(({ value }) => value)) },
  };
}

describe('what was done before', () => {
  proves(
    'G5',
    'counts in later runs too, whatever became of what was kept of it, and replays as it was decided',
    async () => {
      const home = temporaryHome();
      let run = await office(home);
      const file = join(dirname(run.gate.ledger), 'history.json');
      expect(await run.assistant.send()).toBe('send');
      expect(await run.assistant.read()).toBe('read');
      expect(await run.assistant.send()).toBe('POLICY_FORBID');
      expect(await run.other.send()).toBe('send');
      expect(await run.assistant.erase({ id: 'a' })).toBe('erase');
      expect(await run.assistant.erase({ all: true })).toBe('POLICY_FORBID');
      await run.gate.close();

      // Altered, then gone: the ledger knows what was used, and no shape.
      const whole = readFileSync(file, 'utf8');
      for (const [spoil, erased] of [
        [() => {}, 'erase'],
        [() => writeFileSync(file, whole.replace('office/read', 'office/none')), 'POLICY_FORBID'],
        [() => rmSync(file), 'POLICY_FORBID'],
      ] as const) {
        spoil();
        run = await office(home);
        expect(await run.assistant.send()).toBe('POLICY_FORBID');
        expect(await run.other.send()).toBe('send');
        expect(await run.assistant.erase({ id: 'b' })).toBe(erased);
        await run.gate.close();
      }

      run = await office(home);
      const { ledger } = run.gate;
      await run.gate.close();
      process.env.PORTCULLIS_HOME = home;
      let said = '';
      const out = output(true, {
        stdout: {
          write: (line: string) => {
            said += line;
            return true;
          },
        },
        stderr: { write: () => true },
      });
      try {
        expect(await replayLedger(ledger, {}, out)).toBe(0);
      } finally {
        delete process.env.PORTCULLIS_HOME;
      }
      expect(JSON.parse(said)).toMatchObject({ ok: true, calls: 15, decisionsMatch: 15, decisionsNotReplayable: 0 });
    },
    60_000,
  );

  proves('G4', 'is counted while it is decided: many at once are not each the first', async () => {
    const { assistant } = await office(temporaryHome());
    expect(await assistant.erase({ id: 'a' })).toBe('erase');
    const all = await Promise.all(Array.from({ length: 8 }, () => assistant.erase({ id: 'a' })));
    expect(all.filter((one) => one === 'erase')).toHaveLength(2);
  });
});
