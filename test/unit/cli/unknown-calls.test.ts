import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StateDocumentRefused } from '../../../adapters/storage/state-document.ts';
import { gateFolder, type Home } from '../../../cli/home.ts';
import { durableUnknownCalls, type Settlement, unknownCallsOf } from '../../../cli/unknown-calls.ts';
import type { EntryBody } from '../../../domain/entry.ts';
import type { CapturedCall } from '../../../proxy/captured-call.ts';
import { proves } from '../../guarantees.ts';
import { PRINCIPAL } from '../../support/gate-world.ts';

const SECRET = new Uint8Array(32).fill(7);
let home: Home;
beforeEach(async () => {
  const root = await mkdtemp(join(tmpdir(), 'portcullis-'));
  home = { config: root, state: root };
});
afterEach(() => rm(home.state, { recursive: true, force: true }));

/** One run of a gate, as far as such calls are concerned. */
async function run(name = 'g') {
  const folder = gateFolder(home, name);
  await mkdir(folder.folder, { recursive: true });
  let now = 0;
  const recorded: EntryBody[] = [];
  const durable = durableUnknownCalls({ folder, secret: SECRET, now: () => now, mayRepeat: () => false });
  await durable.recovered([]);
  const settle = (call: string, as: Settlement, fails = false) =>
    durable.settle(call, as, undefined, {
      append: async (body) => {
        if (fails) throw new Error('no space');
        recorded.push(body);
        return { seq: 0, ts: '', leafHash: 'sha256:' };
      },
    });
  return { ...durable, settle, recorded, later: () => (now += 1_000), file: join(folder.folder, 'unknown-calls.json') };
}

const called = (argumentsJson: string): CapturedCall =>
  ({
    call: argumentsJson,
    at: 5,
    principal: PRINCIPAL,
    method: 'tools/call',
    server: 's',
    tool: 't',
    argumentsJson,
  }) as unknown as CapturedCall;
const LOST = { status: 'unknown', dispatched: true, code: 'TOOL_LOST' } as const;

describe('calls that nobody knows the end of', () => {
  proves('G3', 'outlive the gate, and a person settles them for good', async () => {
    const first = await run();
    await first.calls.ended(called('{"a":1}'), LOST, []);
    const next = await run();
    expect(await next.calls.refusal(called('{"a":1}'))).toMatchObject({ code: 'RETRY_OF_UNKNOWN' });
    expect(await next.calls.refusal(called('{"a":2}'))).toBeUndefined();
    await next.settle('{"a":1}', 'did-not-run');
    expect(next.recorded).toEqual([{ type: 'call.settled', of: '{"a":1}', as: 'did-not-run' }]);
    expect(await next.calls.refusal(called('{"a":1}'))).toBeUndefined();
    expect(await (await run()).calls.refusal(called('{"a":1}'))).toBeUndefined();
  });

  it('are not settled where that cannot be recorded', async () => {
    const gate = await run();
    await gate.calls.ended(called('{}'), LOST, []);
    await expect(gate.settle('{}', 'ran', true)).rejects.toThrow('no space');
    expect(await gate.calls.refusal(called('{}'))).toBeDefined();
  });

  proves('G4', 'that are not as they were written keep the gate shut, or deny at the gate beside', async () => {
    const gate = await run();
    await gate.calls.ended(called('{}'), LOST, []);
    const text = await readFile(gate.file, 'utf8');
    await writeFile(gate.file, text.replace('"t"', '"u"'));
    await expect(run()).rejects.toBeInstanceOf(StateDocumentRefused);
    const beside = await run('g.2');
    expect(await beside.calls.refusal(called('{"other":1}'))).toMatchObject({ code: 'RETRY_OF_UNKNOWN' });
  });

  proves('G3', 'hold at every gate of the same name, and at no other', async () => {
    const [one, two, other] = [await run('g'), await run('g.2'), await run('h')];
    expect(await two.calls.refusal(called('{}'))).toBeUndefined();
    await one.calls.ended(called('{}'), LOST, []);
    two.later();
    other.later();
    expect(await two.calls.refusal(called('{}'))).toBeDefined();
    expect(await other.calls.refusal(called('{}'))).toBeUndefined();
    await two.settle('{}', 'not-known');
    expect(two.recorded).toEqual([]);
    expect(await two.calls.refusal(called('{}'))).toBeUndefined();
    expect(await one.calls.refusal(called('{}'))).toBeDefined();
    await one.settle('{}', 'not-known');
    expect(await one.calls.refusal(called('{}'))).toBeUndefined();
  });

  it('can be listed without the gate', async () => {
    const gate = await run();
    expect(await unknownCallsOf(gateFolder(home, 'g'), SECRET)).toEqual([]);
    await gate.calls.ended(called('{"secret":"x"}'), LOST, []);
    const [one] = await unknownCallsOf(gateFolder(home, 'g'), SECRET);
    expect(one).toMatchObject({ agent: 'coder', server: 's', tool: 't', code: 'TOOL_LOST', at: 5 });
    expect(one?.same).toMatch(/^[\w-]{43}$/);
  });

  it('have another digest with another key', async () => {
    const one = await run('g');
    const other = await run('h');
    await one.calls.ended(called('{}'), LOST, []);
    await other.calls.ended(called('{}'), LOST, []);
    expect(one.calls.all()[0]?.same).not.toBe(other.calls.all()[0]?.same);
  });
});
