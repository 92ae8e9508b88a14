// What a user goes through with one real client: behind the gate, a call that is allowed, one that a rule forbids, one given up, one revoked while it
// runs, the gate shut, and back. Each step is judged by what the model was told, by what the server did and by what the ledger says.

import { appendFileSync } from 'node:fs';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { DONE } from './model/turn.ts';
import type { ClientWorld } from './world.ts';

export interface Step {
  readonly name: string;
  readonly passed: boolean;
  /** What was seen, or what was wrong. */
  readonly detail: string;
  readonly ms: number;
}

/** What the table of the page shows. */
export interface Observed {
  revision?: string;
  allowed?: string;
  denied?: string;
  ended?: string;
  revoked?: string;
  shut?: string;
  restored?: string;
}

export interface Acceptance {
  readonly steps: readonly Step[];
  readonly observed: Observed;
}

const RULE = 'small-steps';
const RULES = `
@id("${RULE}")
@reason("counts by at most 5")
forbid (principal, action == Portcullis::Action::"counter/count", resource)
when { context.input has by && context.input.by > 5 };
`;
/** Most clients put the server's name before that of the tool, each in its own way. */
const PREFIX = '(?:^|counter[^a-z]*)';
const COUNT = `${PREFIX}count$`;
const SLEEP = `${PREFIX}sleep$`;
const TOOLS = new RegExp(`${PREFIX}(count|echo|sleep|fail|progress|big|die|ask|heard)$`);
/** Far longer than any step: nothing waits for it. */
const SLEEP_MS = 300_000;
/** How long a client that can be told so waits for a call, which never ends by itself. */
const CALL_MS = 4_000;
const POLL_MS = 250;
const INTENT_MS = 90_000;

class Wrong extends Error {}

export async function accept(world: ClientWorld, onStep: (step: Step) => void): Promise<Acceptance> {
  const steps: Step[] = [];
  const observed: Observed = {};
  const id = world.client.id;
  const step = async (name: string, work: () => Promise<string>): Promise<boolean> => {
    const started = Date.now();
    const seen = await work().then(
      (detail) => ({ passed: true, detail }),
      (error: unknown) => ({ passed: false, detail: error instanceof Error ? error.message : String(error) }),
    );
    const done = { name, ...seen, ms: Date.now() - started };
    steps.push(done);
    onStep(done);
    return seen.passed;
  };

  await step('init without --yes writes nothing', async () => {
    const { code, stdout } = await world.portcullis('init', '--client', id);
    check(code === 0, `it ended with ${code}: ${stdout}`);
    check(world.bytes() === world.text, 'the file was changed');
    check(stdout.includes('counter'), 'the server was not found');
    return 'the file is as it was';
  });
  await step('init and restore before the client runs: byte for byte', async () => {
    await initialised(world);
    const { code, stderr } = await world.portcullis('restore', '--all', '--yes');
    check(code === 0, `restore ended with ${code}: ${stderr}`);
    check(world.bytes() === world.text, 'the file differs');
    return `${Buffer.byteLength(world.text)} bytes`;
  });
  const ready = await step('init, and the server approved with two tools allowed', async () => {
    await initialised(world);
    const comments = commentsIn(world.text).filter((comment) => !world.bytes().includes(comment));
    check(comments.length === 0, `comments were lost: ${comments.join(' ')}`);
    await approved(world);
    return 'count and sleep; a rule forbids to count by more than 5';
  });
  if (!ready) return { steps, observed };

  await step('an allowed call', async () => {
    const first = await world.call(COUNT, { by: 1 });
    // Some clients begin without a server that takes its time, as a gate does that has to start: their user asks again.
    const late = first.told === '' && !world.offered().some((name) => TOOLS.test(name));
    const { told, ended } = late ? await world.call(COUNT, { by: 1 }) : first;
    check(
      told.includes('1 so far'),
      `the model was told ${shown(told)}; the client said ${shown(ended.stdout + ended.stderr)}`,
    );
    check(ended.stdout.includes(DONE), `the user was shown ${shown(ended.stdout + ended.stderr)}`);
    check(same(world.counted(), ['{"by":1}']), `the server counted ${world.counted().join(' ')}`);
    const calls = callsIn(await world.entries());
    check(calls.length === 1, `the ledger has ${calls.length} calls`);
    const [call] = calls;
    check(call?.end === 'completed' && call.endings === 1, `the ledger says ${JSON.stringify(call)}`);
    check(call?.agent === id, `the ledger says that the agent is ${call?.agent}`);
    const when = late ? '; the first session had not waited for the gate to start' : '';
    observed.allowed = `one completed call of \`${id}\`${when}`;
    return `the result, and one completed call of ${id} in the ledger${when}`;
  });
  await step('what no rule allows is not offered', async () => {
    const offered = world.offered().filter((name) => TOOLS.test(name));
    const names = offered.map((name) => TOOLS.exec(name)?.[1] ?? '').sort();
    check(same(names, ['count', 'sleep']), `offered: ${offered.join(' ')}`);
    return offered.join(' ');
  });
  await step('a call that a rule forbids', async () => {
    const { told, ended } = await world.call(COUNT, { by: 7 });
    const call = denialIn(told, 'POLICY_');
    check(same(world.counted(), ['{"by":1}']), 'the server heard of it');
    check(!/backtrace/i.test(told + ended.stdout), 'it comes with a stack trace');
    const last = callsIn(await world.entries()).at(-1);
    check(last?.end === 'denied' && last.id === call, `the ledger says ${JSON.stringify(last)}`);
    const { stdout } = await world.portcullis('policy', 'explain', call);
    check(stdout.includes(RULE), `policy explain says ${shown(stdout)}`);
    observed.denied = sentenceOf(told);
    return `${shown(told)}; policy explain names ${RULE}`;
  });
  const gaveUp = world.client.timesOut
    ? 'a call that takes too long for the client'
    : 'a call that the user interrupts';
  await step(gaveUp, async () => {
    const ms = SLEEP_MS + 1;
    if (world.client.timesOut) {
      const { told } = await world.call(SLEEP, { ms }, { callMs: CALL_MS });
      check(told !== '' && !told.includes('slept'), `the model was told ${shown(told)}`);
    } else {
      const running = world.start(SLEEP, { ms });
      await intentAfter(world);
      await world.interrupt(running);
    }
    const last = await endedCall(world);
    check(last.endings === 1 && last.end !== 'completed', `the ledger says ${JSON.stringify(last)}`);
    observed.ended = `${world.client.timesOut ? 'its own limit' : 'interrupted'}: ${last.end}${last.code === undefined ? '' : ` ${last.code}`}`;
    return `one ending in the ledger: ${last.end} ${last.code ?? ''}`;
  });
  await step('revoked while it runs', async () => {
    const before = world.model.heard.length;
    const running = world.start(SLEEP, { ms: SLEEP_MS + 2 });
    const call = await intentAfter(world);
    const revoked = await world.portcullis('revoke', 'execution', call);
    check(revoked.code === 0, `revoke ended with ${revoked.code}: ${revoked.stderr}`);
    await world.settles(running);
    const told = world.told(before);
    denialIn(told, 'REVOKED');
    const ended = callsIn(await world.entries()).find((one) => one.id === call);
    check(ended?.endings === 1 && ended.end !== 'completed', `the ledger says ${JSON.stringify(ended)}`);
    observed.revoked = sentenceOf(told);
    return shown(told);
  });
  await step('the gate shut', async () => {
    const counted = world.counted();
    const paused = await world.portcullis('pause', '--reason', 'a look at it');
    check(paused.code === 0, `pause ended with ${paused.code}: ${paused.stderr}`);
    const { told, ended } = await world.call(COUNT, { by: 2 });
    const resumed = await world.portcullis('resume');
    check(resumed.code === 0, `resume ended with ${resumed.code}: ${resumed.stderr}`);
    check(same(world.counted(), counted), 'the server heard of it');
    check(told !== '', `the model was told nothing; the client said ${shown(ended.stdout + ended.stderr)}`);
    denialIn(told, 'GOV_HALTED');
    observed.shut = sentenceOf(told);
    return shown(told);
  });
  await step('open again', async () => {
    const { told } = await world.call(COUNT, { by: 3 });
    check(same(world.counted(), ['{"by":1}', '{"by":3}']), `the model was told ${shown(told)}`);
    return 'the same call goes through';
  });
  await step('doctor says that it goes through the gate', async () => {
    const { clients } = await world.answer<{ clients: DoctorsClient[] }>('doctor');
    const [one, ...others] = clients.filter(({ client }) => client === id);
    check(others.length === 0 && one?.state === 'seen', `doctor says ${JSON.stringify(clients)}`);
    check(one?.seen !== undefined, `doctor has not seen it: ${JSON.stringify(one)}`);
    observed.revision = one?.seen?.revision ?? '';
    return one?.detail ?? '';
  });
  await step('restore', async () => {
    const entriesOf = (text: string) => world.serversIn(text).map((entry) => JSON.stringify(entry));
    const before = world.bytes();
    const { code, stderr } = await world.portcullis('restore', '--all', '--yes');
    check(code === 0, `restore ended with ${code}: ${stderr}`);
    const after = world.bytes();
    if (after === world.text) observed.restored = 'byte for byte';
    else {
      check(!same(entriesOf(before), entriesOf(after)), 'the file still names the gate');
      check(same(entriesOf(after), entriesOf(world.text)), `the entries differ: ${entriesOf(after).join(' ')}`);
      observed.restored = 'byte for byte until the client rewrote its file; the entry after that';
    }
    return observed.restored;
  });
  await step('the client reaches its server without the gate', async () => {
    const calls = callsIn(await world.entries()).length;
    const { told } = await world.call(COUNT, { by: 9 });
    check(world.counted().at(-1) === '{"by":9}', `the model was told ${shown(told)}`);
    check(callsIn(await world.entries()).length === calls, 'the call is in the ledger');
    return 'the call is not in the ledger';
  });
  await step('the ledger verifies', async () => {
    for (const ledger of world.ledgers()) {
      const { code, stdout, stderr } = await world.portcullis('verify', ledger);
      check(code === 0, `verify ended with ${code}: ${shown(stdout + stderr)}`);
    }
    return `${world.ledgers().length} ledger(s)`;
  });
  return { steps, observed };
}

interface DoctorsClient {
  readonly client: string;
  readonly state: string;
  readonly detail: string;
  readonly seen?: { readonly revision: string };
}

async function initialised(world: ClientWorld): Promise<void> {
  const { code, stdout, stderr } = await world.portcullis('init', '--yes', '--client', world.client.id);
  check(code === 0, `init ended with ${code}: ${stdout}${stderr}`);
  check(world.bytes().includes('portcullis.js'), `init did not write the file: ${stdout}${stderr}`);
}

async function approved(world: ClientWorld): Promise<void> {
  const { servers } = await world.answer<{ servers: { digest: string }[] }>('tools', 'review', 'counter');
  const digest = servers[0]?.digest ?? '';
  const { code, stderr } = await world.portcullis(
    ...['tools', 'approve', 'counter', '--digest', digest, '--allow', 'count,sleep'],
  );
  check(code === 0, `approve ended with ${code}: ${stderr}`);
  appendFileSync(world.rules(), RULES);
  const checked = await world.portcullis('policy', 'check');
  check(checked.code === 0, `policy check says ${checked.stdout}${checked.stderr}`);
}

interface LedgerCall {
  readonly id: string;
  readonly agent: string;
  readonly endings: number;
  /** Undefined while it runs. */
  readonly end: string | undefined;
  readonly code: string | undefined;
}

/** Calls of tools, the newest last. */
function callsIn(entries: readonly JsonObject[]): LedgerCall[] {
  const ids = new Set(entries.flatMap(({ call }) => (typeof call === 'string' ? [call] : [])));
  return [...ids].flatMap((id) => {
    const own = entries.filter(({ call }) => call === id);
    const [first] = eventsOf(own[0]);
    if (first?.method !== 'tools/call') return [];
    const principal = isJsonObject(first.principal) ? first.principal : {};
    const endings = own.filter(({ type }) => type === 'call.ending' || type === 'call.denial');
    const [last] = endings;
    const outcome = isJsonObject(last?.outcome) ? last.outcome : {};
    const code = textOf(last?.code) ?? textOf(outcome.code);
    const end = last?.type === 'call.denial' ? 'denied' : textOf(outcome.status);
    return [{ id, agent: textOf(principal.agent) ?? '', endings: endings.length, end, code }];
  });
}

function eventsOf(entry: JsonObject | undefined): readonly JsonObject[] {
  return Array.isArray(entry?.events) ? (entry.events as readonly JsonObject[]) : [];
}

function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Waits for a call that runs, and says which. */
async function intentAfter(world: ClientWorld): Promise<string> {
  const running = await until(world, (calls) => calls.find(({ end }) => end === undefined), 'no call began');
  return running.id;
}

/** Waits until no call runs, and says how the last one ended. */
function endedCall(world: ClientWorld): Promise<LedgerCall> {
  const last = (calls: LedgerCall[]) => (calls.every(({ end }) => end !== undefined) ? calls.at(-1) : undefined);
  return until(world, last, 'the call does not end');
}

async function until<Found>(
  world: ClientWorld,
  find: (calls: LedgerCall[]) => Found | undefined,
  otherwise: string,
): Promise<Found> {
  const end = Date.now() + INTENT_MS;
  for (;;) {
    const found = find(callsIn(await world.entries()));
    if (found !== undefined) return found;
    check(Date.now() < end, otherwise);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** The id of the call in the text of a denial. */
function denialIn(told: string, code: string): string {
  const found = /Denied by Portcullis \((?<code>[A-Z_]+)\).*?(?:explain (?<call>\w+))?$/ms.exec(told)?.groups;
  check(found?.code?.includes(code) === true, `the model was told ${shown(told)}`);
  return /policy explain (\w+)/.exec(told)?.[1] ?? '';
}

function sentenceOf(told: string): string {
  return /Denied by Portcullis[^\n"\\]*/.exec(told)?.[0].trim() ?? told.trim();
}

function commentsIn(text: string): string[] {
  return [...text.matchAll(/(?<=^|\s)(?:#|\/\/)\s[^\n]*/gm)].map(([comment]) => comment.trim());
}

function shown(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line === '' ? 'nothing' : `"${line.length > 400 ? `${line.slice(0, 400)}...` : line}"`;
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function check(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Wrong(otherwise);
}
