// What a user goes through with several clients in one home: one init, one approval, all of them at once on one gate, a client killed in the middle of a
// call, the gate killed, and back. Judged by what each model was told, by what the one server did and by what the one ledger says.

import { appendFileSync } from 'node:fs';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { check, checkWrapped, denialIn, type Step, Steps, same, shown, toolOf } from './judging.ts';
import { callsIn, type LedgerCall, untilCalls } from './ledger-calls.ts';
import { kill, type UserHome } from './user-home.ts';
import type { ClientWorld } from './world.ts';

const RULES = `
@id("small-steps")
@reason("counts by less than 1000")
forbid (principal, action == Portcullis::Action::"counter/count", resource)
when { context.input has by && context.input.by >= 1000 };
`;
const FORBIDDEN = 1_000;
const COUNT = toolOf('counter', 'count');
/** The server answers these when it is told to. */
const HELD = 100;
const WITHIN_MS = 90_000;
const POLL_MS = 50;
const COUNTER = fixtureServer('counter.mjs');

export async function acceptTogether(
  user: UserHome,
  worlds: readonly ClientWorld[],
  onStep: (step: Step) => void,
): Promise<readonly Step[]> {
  const steps = new Steps(user, onStep);
  const ids = worlds.map(({ client }) => client.id);
  const [victim, beside] = worlds as [ClientWorld, ClientWorld];
  let by = 0;
  let began = 0;

  await steps.take('one init for all, and back before one of them runs: byte for byte', async () => {
    await initialised(user, worlds);
    const { code, stderr } = await user.portcullis('restore', '--all', '--yes');
    check(code === 0, `restore ended with ${code}: ${stderr}`);
    for (const world of worlds) check(world.bytes() === world.text, `${world.file} differs`);
    return worlds.map(({ text }) => `${Buffer.byteLength(text)} bytes`).join(', ');
  });
  const isReady = await steps.take('one init and one approval for all', async () => {
    began = Date.now();
    await initialised(user, worlds);
    const { servers } = await user.answer<{ servers: { server: string; digest: string }[] }>('tools', 'review');
    check(servers.length === 1, `there are ${servers.length} servers: ${JSON.stringify(servers)}`);
    const digest = servers[0]?.digest ?? '';
    const allowing = ['tools', 'approve', 'counter', '--digest', digest, '--allow', 'count'];
    const { code, stderr } = await user.portcullis(...allowing);
    check(code === 0, `approve ended with ${code}: ${stderr}`);
    appendFileSync(user.rules(), RULES);
    return `${ids.join(', ')}: one server`;
  });
  if (!isReady) return steps.done;

  await steps.take('all at once, and no gate runs yet: an allowed call each', async () => {
    const calls = worlds.map((world) => ({ world, by: ++by }));
    const late: string[] = [];
    let first = 0;
    const told = await Promise.all(
      calls.map(async ({ world, by }) => {
        for (let tries = 1; ; tries++) {
          const { told, ended } = await world.call(COUNT, { by });
          if (told !== '') first ||= Date.now();
          // Some clients begin without a server that takes its time, as a gate does that has to start: their user asks again.
          if (told !== '' || tries === 2) return told === '' ? shown(ended.stdout + ended.stderr) : told;
          late.push(world.client.id);
        }
      }),
    );
    for (const [index, one] of told.entries()) check(/\d so far/.test(one), `${ids[index]} was told ${shown(one)}`);
    const once = calls.every((call) => times(user, call) === 1) && user.counted().length === calls.length;
    check(once, `the server counted ${user.counted().join(' ')}`);
    const ledger = callsIn(await user.entries());
    const wrong = ledger.filter(({ end, endings }) => end !== 'completed' || endings !== 1);
    check(wrong.length === 0, `not completed once: ${JSON.stringify(wrong)}`);
    check(same(ledger.map(({ agent }) => agent).sort(), [...ids].sort()), `the ledger says ${JSON.stringify(ledger)}`);
    checkOneGate(user);
    const seconds = ((first - began) / 1000).toFixed(1);
    const again = late.length === 0 ? '' : `; ${late.join(', ')} had not waited for the gate to start, and asked again`;
    return `one gate, one ledger, one completed call of each; the first ${seconds} s after init began${again}`;
  });
  await steps.take('all at once: a call each that a rule forbids', async () => {
    const counted = user.counted().length;
    const denied = await Promise.all(
      worlds.map(async (world) => {
        const { told } = await world.call(COUNT, { by: FORBIDDEN + ++by });
        return { agent: world.client.id, id: denialIn(told, 'POLICY_FORBID') };
      }),
    );
    check(user.counted().length === counted, 'the server heard of it');
    const ledger = callsIn(await user.entries());
    check(ledger.length === 2 * worlds.length, `the ledger has ${ledger.length} calls`);
    for (const { agent, id } of denied) {
      const call = ledger.find((one) => one.id === id);
      check(call?.end === 'denied' && call.agent === agent, `${agent}, ${id}: the ledger says ${JSON.stringify(call)}`);
    }
    return `each was told the id of its own call, which the ledger has under its name`;
  });
  await steps.take(`${victim.client.id} is killed in the middle of a call, and the others go on`, async () => {
    const killed = { by: HELD + ++by };
    const kept = { by: HELD + ++by };
    const session = victim.start(COUNT, killed);
    await untilCounted(user, [killed]);
    const call = (await runs(user)).find(({ agent }) => agent === victim.client.id);
    const besideIt = beside.call(COUNT, kept);
    await untilCounted(user, [kept]);
    session.running.signalGroup('SIGKILL');
    const others = worlds.slice(1).map(async (world) => ({ world, ...(await world.call(COUNT, { by: ++by })) }));
    for (const { world, told } of await Promise.all(others))
      check(/so far/.test(told), `${world.client.id} was told ${shown(told)}`);
    user.release(kept.by);
    const { told } = await besideIt;
    check(/so far/.test(told), `${beside.client.id} was told ${shown(told)} of the call that ran meanwhile`);
    const isIt = ({ id, end }: LedgerCall): boolean => id === call?.id && end !== undefined;
    const ended = await untilCalls(user, (calls) => calls.find(isIt), 'the call does not end');
    check(ended.endings === 1 && ended.end !== 'completed', `the ledger says ${JSON.stringify(ended)}`);
    check(times(user, killed) === 1, 'the server counted it more than once');
    checkOneGate(user);
    return `one ending in the ledger: ${ended.end} ${ended.code ?? ''}; the others' calls completed`;
  });
  let cut: LedgerCall[] = [];
  await steps.take('the gate is killed while all of them have a call that runs', async () => {
    const sessions = worlds.map((world) => ({ world, args: { by: HELD + ++by } }));
    const started = sessions.map(({ world, args }) => ({ world, args, session: world.start(COUNT, args) }));
    await untilCounted(
      user,
      sessions.map(({ args }) => args),
    );
    cut = await runs(user);
    check(same(cut.map(({ agent }) => agent).sort(), [...ids].sort()), `these run: ${JSON.stringify(cut)}`);
    const before = checkOneGate(user);
    kill(before);
    const told = await Promise.all(
      started.map(async ({ world, session }) => {
        const { signal } = await world.settles(session);
        check(signal !== 'SIGKILL', `${world.client.id} goes on for ever`);
        return `${world.client.id} was told ${shown(world.told(session))}`;
      }),
    );
    const twice = sessions.filter(({ args }) => times(user, args) !== 1).map(({ world }) => world.client.id);
    check(twice.length === 0, `executed again for ${twice.join(', ')}`);
    const left = (): boolean => user.processes().some(({ pid, line }) => pid === before || line.includes(COUNTER));
    await until(() => !left(), 'the gate or its servers are still there');
    return told.join('; ');
  });
  await steps.take('the next session starts a gate and works', async () => {
    for (const world of worlds) {
      const args = { by: ++by };
      const first = await world.call(COUNT, args);
      const { told } = first.told === '' ? await world.call(COUNT, args) : first;
      check(/so far/.test(told), `${world.client.id} was told ${shown(told)}`);
      check(times(user, args) === 1, 'the server counted it more than once');
    }
    const ledger = callsIn(await user.entries());
    for (const { id, agent } of cut) {
      const now = ledger.find((one) => one.id === id);
      check(now?.endings === 1 && now.end === 'unknown', `${agent}: the ledger says ${JSON.stringify(now)}`);
    }
    checkOneGate(user);
    return `the ${cut.length} calls that were cut off ended once each: unknown`;
  });
  await steps.take('doctor has seen all of them', async () => {
    const { clients } = await user.answer<{ clients: { client: string; state: string }[] }>('doctor');
    const seen = clients.filter(({ state }) => state === 'seen').map(({ client }) => client);
    check(same(seen.sort(), [...ids].sort()), `doctor says ${JSON.stringify(clients)}`);
    return seen.join(', ');
  });
  await steps.take('one restore for all', async () => {
    const { code, stderr } = await user.portcullis('restore', '--all', '--yes');
    check(code === 0, `restore ended with ${code}: ${stderr}`);
    for (const world of worlds) check(world.isAsWritten(), `the entries of ${world.file} differ`);
    const untouched = worlds.filter((world) => world.bytes() === world.text).map(({ client }) => client.id);
    const rewrote = ids.filter((id) => !untouched.includes(id));
    return `byte for byte: ${untouched.join(', ')}; the entry, in a file that the client rewrote: ${rewrote.join(', ')}`;
  });
  await steps.take('the ledger verifies', async () => {
    const ledgers = user.ledgers();
    check(ledgers.length === 1, `there are ${ledgers.length} ledgers`);
    const { code, stdout, stderr } = await user.portcullis('verify', ledgers[0] ?? '');
    check(code === 0, `verify ended with ${code}: ${shown(stdout + stderr)}`);
    return shown(stdout);
  });
  return steps.done;
}

async function initialised(user: UserHome, worlds: readonly ClientWorld[]): Promise<void> {
  const { code, stdout, stderr } = await user.portcullis('init', '--yes');
  check(code === 0, `init ended with ${code}: ${stdout}${stderr}`);
  for (const world of worlds) checkWrapped(world);
}

/** Its process. */
function checkOneGate(user: UserHome): number {
  const [gate, ...more] = user.gates();
  check(gate !== undefined && more.length === 0, `${more.length + (gate === undefined ? 0 : 1)} gates run`);
  return gate.pid;
}

/** Calls without an ending. */
async function runs(user: UserHome): Promise<LedgerCall[]> {
  return callsIn(await user.entries()).filter(({ end }) => end === undefined);
}

function times(user: UserHome, { by }: { readonly by: number }): number {
  return user.counted().filter((line) => (JSON.parse(line) as { by: number }).by === by).length;
}

async function untilCounted(user: UserHome, calls: readonly { readonly by: number }[]): Promise<void> {
  const areCounted = (): boolean => calls.every((call) => times(user, call) > 0);
  await until(areCounted, `the server does not count ${JSON.stringify(calls)}`);
}

async function until(holds: () => boolean, otherwise: string): Promise<void> {
  const end = Date.now() + WITHIN_MS;
  while (!holds()) {
    check(Date.now() < end, otherwise);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
