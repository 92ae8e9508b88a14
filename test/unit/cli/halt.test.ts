import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openHalt } from '../../../cli/halt.ts';
import type { EntryBody } from '../../../domain/entry.ts';
import { Governance } from '../../../proxy/governance.ts';
import { proves } from '../../guarantees.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'portcullis-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** One run of a gate as far as its halt is concerned. `recording` is waited for by every entry. */
async function run(recording: (body: EntryBody) => Promise<void> = async () => {}) {
  const governance = new Governance('01KAJ0000000000000000B0001', []);
  const recorded: string[] = [];
  const notes: string[] = [];
  const durable = await openHalt({
    folder: { name: 'g', folder: root },
    secret: new Uint8Array(32).fill(7),
    governance,
    recorder: {
      append: async (body: EntryBody) => {
        await recording(body);
        recorded.push(body.type);
        return { seq: 0, leaf: 'sha256:' as const } as never;
      },
    },
    clock: { now: () => 1_790_000_000_000 },
    note: (text) => notes.push(text),
  });
  return { ...durable, governance, recorded, notes };
}

/** Whether the next run begins halted. */
const isKept = async (): Promise<boolean> => (await run()).governance.reason?.code === 'GOV_HALTED';

describe('the halt of a gate', () => {
  proves('G12', 'that cannot be kept is in force all the same, and is said to be no lasting one', async () => {
    const gate = await run();
    await rm(root, { recursive: true });
    await expect(gate.halt('now')).rejects.toThrow('ENOENT');
    expect(gate.governance.reason?.code).toBe('GOV_HALTED');
  });

  it('that cannot be recorded is in force, and says so', async () => {
    const gate = await run(() => Promise.reject(new Error('no space')));
    await gate.halt('now');
    expect(gate.governance.reason).toMatchObject({ code: 'GOV_HALTED', detail: 'now' });
    expect(gate.notes.join()).toContain('no space');
    expect(await isKept()).toBe(true);
  });

  proves('G12', 'is not lifted when that cannot be recorded', async () => {
    const gate = await run(({ type }) =>
      type === 'gate.resumed' ? Promise.reject(new Error('no space')) : Promise.resolve(),
    );
    await gate.halt('now');
    await expect(gate.resume()).rejects.toThrow('no space');
    expect(gate.governance.reason?.code).toBe('GOV_HALTED');
    expect(await isKept()).toBe(true);
  });

  for (const moment of ['before an earlier one is lifted', 'while an earlier one is being lifted'] as const) {
    proves('G12', `asked for ${moment} stands`, async () => {
      let lifted: () => void = () => {};
      let lifting: () => void = () => {};
      const begun = new Promise<void>((resolve) => {
        lifting = resolve;
      });
      const gate = await run(({ type }) => {
        if (type !== 'gate.resumed' || moment.startsWith('before')) return Promise.resolve();
        lifting();
        return new Promise((resolve) => {
          lifted = resolve;
        });
      });
      await gate.halt('first');
      const resumed = gate.resume();
      if (moment.startsWith('while')) await begun;
      const halted = gate.halt('second');
      lifted();
      await Promise.all([resumed, halted]);
      expect(gate.governance.reason).toMatchObject({ code: 'GOV_HALTED', detail: 'second' });
      expect(gate.recorded.at(-1)).toBe('gate.halted');
      expect(await isKept()).toBe(true);
    });
  }

  it('is lifted once, and lifting none says nothing', async () => {
    const gate = await run();
    await gate.resume();
    await gate.halt('now');
    await Promise.all([gate.resume(), gate.resume()]);
    expect(gate.recorded).toEqual(['gate.halted', 'gate.resumed']);
    expect(gate.governance.reason).toBeUndefined();
    expect(await isKept()).toBe(false);
  });
});
