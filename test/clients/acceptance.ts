// What a user goes through with one real client: behind the gate, a call that is allowed, one that a rule forbids, one given up, one revoked while it
// runs, the gate shut, and back. Each step is judged by what the model was told, by what the server did and by what the ledger says.

import { appendFileSync } from 'node:fs';
import { check, checkWrapped, denialIn, type Step, Steps, same, sentenceOf, shown, toolOf } from './judging.ts';
import { callsIn, type LedgerCall, untilCalls } from './ledger-calls.ts';
import { DONE } from './model/turn.ts';
import type { ClientWorld } from './world.ts';

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
const COUNT = toolOf('counter', 'count');
const SLEEP = toolOf('counter', 'sleep');
const TOOLS = new RegExp(toolOf('counter', '(count|echo|sleep|fail|progress|big|die|ask|heard)'));
/** Far longer than any step: nothing waits for it. */
const SLEEP_MS = 300_000;
/** How long a client that can be told so waits for a call, which never ends by itself. */
const CALL_MS = 2_000;

export async function accept(world: ClientWorld, onStep: (step: Step) => void): Promise<Acceptance> {
  const steps = new Steps(world.user, onStep);
  const step = steps.take.bind(steps);
  const observed: Observed = {};
  const id = world.client.id;

  await step('init without --yes writes nothing', async () => {
    const { code, stdout } = await world.user.portcullis('init', '--client', id);
    check(code === 0, `it ended with ${code}: ${stdout}`);
    check(world.bytes() === world.text, 'the file was changed');
    check(stdout.includes('counter'), 'the server was not found');
    return 'the file is as it was';
  });
  await step('init and restore before the client runs: byte for byte', async () => {
    await initialised(world);
    const { code, stderr } = await world.user.portcullis('restore', '--all', '--yes');
    check(code === 0, `restore ended with ${code}: ${stderr}`);
    check(world.bytes() === world.text, 'the file differs');
    return `${Buffer.byteLength(world.text)} bytes`;
  });
  const ready = await step('init, and the server approved with two tools allowed', async () => {
    await initialised(world);
    checkWrapped(world);
    await approved(world);
    return 'count and sleep; a rule forbids to count by more than 5';
  });
  if (!ready) return { steps: steps.done, observed };

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
    check(same(world.user.counted(), ['{"by":1}']), `the server counted ${world.user.counted().join(' ')}`);
    const calls = callsIn(await world.user.entries());
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
    check(same(world.user.counted(), ['{"by":1}']), 'the server heard of it');
    check(!/backtrace/i.test(told + ended.stdout), 'it comes with a stack trace');
    const last = callsIn(await world.user.entries()).at(-1);
    check(last?.end === 'denied' && last.id === call, `the ledger says ${JSON.stringify(last)}`);
    const { stdout } = await world.user.portcullis('policy', 'explain', call);
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
    const session = world.start(SLEEP, { ms: SLEEP_MS + 2 });
    const call = await intentAfter(world);
    const revoked = await world.user.portcullis('revoke', 'execution', call);
    check(revoked.code === 0, `revoke ended with ${revoked.code}: ${revoked.stderr}`);
    await world.settles(session);
    const told = world.told(session);
    denialIn(told, 'REVOKED');
    const ended = callsIn(await world.user.entries()).find((one) => one.id === call);
    check(ended?.endings === 1 && ended.end !== 'completed', `the ledger says ${JSON.stringify(ended)}`);
    observed.revoked = sentenceOf(told);
    return shown(told);
  });
  await step('the gate shut', async () => {
    const counted = world.user.counted();
    const paused = await world.user.portcullis('pause', '--reason', 'a look at it');
    check(paused.code === 0, `pause ended with ${paused.code}: ${paused.stderr}`);
    const { told, ended } = await world.call(COUNT, { by: 2 });
    const resumed = await world.user.portcullis('resume');
    check(resumed.code === 0, `resume ended with ${resumed.code}: ${resumed.stderr}`);
    check(same(world.user.counted(), counted), 'the server heard of it');
    check(told !== '', `the model was told nothing; the client said ${shown(ended.stdout + ended.stderr)}`);
    denialIn(told, 'GOV_HALTED');
    observed.shut = sentenceOf(told);
    return shown(told);
  });
  await step('open again', async () => {
    const { told } = await world.call(COUNT, { by: 3 });
    check(same(world.user.counted(), ['{"by":1}', '{"by":3}']), `the model was told ${shown(told)}`);
    return 'the same call goes through';
  });
  await step('doctor says that it goes through the gate', async () => {
    const { clients } = await world.user.answer<{ clients: DoctorsClient[] }>('doctor');
    const [one, ...others] = clients.filter(({ client }) => client === id);
    check(others.length === 0 && one?.state === 'seen', `doctor says ${JSON.stringify(clients)}`);
    check(one?.seen !== undefined, `doctor has not seen it: ${JSON.stringify(one)}`);
    observed.revision = one?.seen?.revision ?? '';
    return one?.detail ?? '';
  });
  await step('restore', async () => {
    const { code, stderr } = await world.user.portcullis('restore', '--all', '--yes');
    check(code === 0, `restore ended with ${code}: ${stderr}`);
    const isUntouched = world.bytes() === world.text;
    check(isUntouched || world.isAsWritten(), `the entries differ: ${world.bytes()}`);
    observed.restored = isUntouched
      ? 'byte for byte'
      : 'byte for byte until the client rewrote its file; the entry after that';
    return observed.restored;
  });
  await step('the client reaches its server without the gate', async () => {
    const calls = callsIn(await world.user.entries()).length;
    const { told } = await world.call(COUNT, { by: 9 });
    check(world.user.counted().at(-1) === '{"by":9}', `the model was told ${shown(told)}`);
    check(callsIn(await world.user.entries()).length === calls, 'the call is in the ledger');
    return 'the call is not in the ledger';
  });
  await step('the ledger verifies', async () => {
    for (const ledger of world.user.ledgers()) {
      const { code, stdout, stderr } = await world.user.portcullis('verify', ledger);
      check(code === 0, `verify ended with ${code}: ${shown(stdout + stderr)}`);
    }
    return `${world.user.ledgers().length} ledger(s)`;
  });
  return { steps: steps.done, observed };
}

interface DoctorsClient {
  readonly client: string;
  readonly state: string;
  readonly detail: string;
  readonly seen?: { readonly revision: string };
}

async function initialised(world: ClientWorld): Promise<void> {
  const { code, stdout, stderr } = await world.user.portcullis('init', '--yes', '--client', world.client.id);
  check(code === 0, `init ended with ${code}: ${stdout}${stderr}`);
  check(world.bytes().includes('portcullis.js'), `init did not write the file: ${stdout}${stderr}`);
}

async function approved(world: ClientWorld): Promise<void> {
  const { servers } = await world.user.answer<{ servers: { digest: string }[] }>('tools', 'review', 'counter');
  const digest = servers[0]?.digest ?? '';
  const { code, stderr } = await world.user.portcullis(
    ...['tools', 'approve', 'counter', '--digest', digest, '--allow', 'count,sleep'],
  );
  check(code === 0, `approve ended with ${code}: ${stderr}`);
  appendFileSync(world.user.rules(), RULES);
  const checked = await world.user.portcullis('policy', 'check');
  check(checked.code === 0, `policy check says ${checked.stdout}${checked.stderr}`);
}

/** Waits for a call that runs, and says which. */
async function intentAfter({ user }: ClientWorld): Promise<string> {
  const running = await untilCalls(user, (calls) => calls.find(({ end }) => end === undefined), 'no call began');
  return running.id;
}

/** Waits until no call runs, and says how the last one ended. */
function endedCall({ user }: ClientWorld): Promise<LedgerCall> {
  const last = (calls: LedgerCall[]) => (calls.every(({ end }) => end !== undefined) ? calls.at(-1) : undefined);
  return untilCalls(user, last, 'the call does not end');
}
