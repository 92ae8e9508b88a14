// What a user goes through whose servers are not all in his own file and on his own machine: one elsewhere, with a secret in a header, and one in a file of
// the project, which the others who work there get too.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type HttpCounter, startHttpCounter } from '../fixtures/servers/http-counter.ts';
import type { InstalledClient } from './installed.ts';
import { check, denialIn, type Step, Steps, same, shown, toolOf } from './judging.ts';
import { callsIn } from './ledger-calls.ts';
import type { ClientFile, RealClient } from './real-client.ts';
import type { UserHome } from './user-home.ts';
import { ClientWorld } from './world.ts';

const SECRET = 'Bearer of-nobody-else-4711';
const SERVERS = ['distant', 'counter'];
const RULES = (server: string): string => `
@id("small-steps-${server}")
@reason("counts by less than 1000")
forbid (principal, action == Portcullis::Action::"${server}/count", resource)
when { context.input has by && context.input.by >= 1000 };
`;

interface Place {
  readonly world: ClientWorld;
  readonly project: ClientFile;
}

export async function acceptElsewhere(
  user: UserHome,
  clients: readonly { readonly client: RealClient; readonly installed: InstalledClient }[],
  onStep: (step: Step) => void,
): Promise<void> {
  const distant = await startHttpCounter({
    COUNTER_FILE: join(user.folder, 'counted elsewhere'),
    COUNTER_UNIT: 'so far',
  });
  try {
    await accept(user, clients, distant, new Steps(user, onStep));
  } finally {
    await distant.stop();
  }
}

async function accept(
  user: UserHome,
  clients: Parameters<typeof acceptElsewhere>[1],
  distant: HttpCounter,
  steps: Steps,
): Promise<void> {
  mkdirSync(join(user.project, '.git'));
  const remote = { url: `http://127.0.0.1:${distant.port}/mcp`, headers: { Authorization: SECRET, 'X-Team': 'us' } };
  const places: Place[] = [];
  for (const { client, installed } of clients) {
    const files = client.elsewhere?.(user, remote, user.counter);
    if (files === undefined) continue;
    mkdirSync(dirname(files.project.file), { recursive: true });
    writeFileSync(files.project.file, files.project.text);
    places.push({ world: await ClientWorld.open(user, client, installed, files.user), project: files.project });
  }
  const ids = places.map(({ world }) => world.client.id);
  const overridden = places.filter(({ world }) => world.client.id === 'claude-code');
  const asked = places.filter((place) => !overridden.includes(place));
  const said: string[] = [];
  const typed = async (...line: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await user.portcullis(...line);
    said.push(stdout, stderr);
    check(code === 0, `portcullis ${line.join(' ')} ended with ${code}: ${stdout}${stderr}`);
    return stdout + stderr;
  };
  const isUntouched = ({ file, text }: ClientFile): boolean => readFileSync(file, 'utf8') === text;

  await steps.take('init, and back before a client runs: byte for byte', async () => {
    await typed('init', '--yes', ...ids.flatMap((id) => ['--client', id]));
    await typed('restore', '--all', '--yes');
    for (const { world, project } of places) {
      check(world.bytes() === world.text, `${world.file} differs: ${world.bytes()}`);
      check(isUntouched(project), `${project.file} differs`);
    }
    return ids.join(', ');
  });
  await steps.take('init leaves a file that others get too', async () => {
    await typed('init', '--dry-run');
    const text = await typed('init', '--yes');
    for (const { world, project } of places) {
      check(isUntouched(project), `${project.file} was written`);
      check(world.bytes().includes('portcullis.js'), `${world.file} was not written: ${text}`);
    }
    for (const { world } of asked)
      check(text.includes(`portcullis init --client ${world.client.id} --yes`), `it does not say how: ${text}`);
    for (const { world } of overridden)
      check(world.bytes().includes(user.project), 'there is no entry of the user before that of the project');
    return `${overridden.map(({ world }) => world.client.id).join(', ')}: an entry before it that is only the user's`;
  });
  await steps.take('init writes it where its user says so', async () => {
    if (asked.length > 0) await typed('init', '--yes', ...asked.flatMap(({ world }) => ['--client', world.client.id]));
    for (const { project } of asked) check(!isUntouched(project), `${project.file} was not written`);
    for (const { project } of overridden) check(isUntouched(project), `${project.file} was written`);
    return asked.map(({ world }) => world.client.id).join(', ');
  });
  const isReady = await steps.take('both servers are approved', async () => {
    for (const server of SERVERS) {
      const { servers } = await user.answer<{ servers: { digest: string }[] }>('tools', 'review', server);
      await typed('tools', 'approve', server, '--digest', servers[0]?.digest ?? '', '--allow', 'count');
      writeFileSync(user.rules(server), RULES(server), { flag: 'a' });
    }
    await typed('policy', 'check');
    const { servers } = await user.answer<{ servers: { server: string }[] }>('tools', 'review');
    const names = servers.map(({ server }) => server).sort();
    check(same(names, [...SERVERS].sort()), `there are ${names.join(', ')}`);
    return 'one of each, for all clients';
  });
  if (!isReady) return;

  let by = 0;
  for (const { world } of places) {
    const { id } = world.client;
    for (const server of SERVERS) {
      await steps.take(`${id}: ${server}, an allowed call and one that a rule forbids`, async () => {
        const args = { by: ++by };
        const first = await world.call(toolOf(server, 'count'), args);
        const { told, ended } = first.told === '' ? await world.call(toolOf(server, 'count'), args) : first;
        const saw = `${id} was told ${shown(told)}; it said ${shown(ended.stdout + ended.stderr)}`;
        check(/\d so far/.test(told), saw);
        const call = callsIn(await user.entries()).at(-1);
        check(call?.end === 'completed' && call.agent === id, `the ledger says ${JSON.stringify(call)}`);
        const forbidden = await world.call(toolOf(server, 'count'), { by: 1000 + ++by });
        denialIn(forbidden.told, 'POLICY_FORBID');
        const counted = server === 'counter' ? user.counted() : countedIn(join(user.folder, 'counted elsewhere'));
        check(counted.at(-1) === JSON.stringify(args), `the server counted ${counted.join(' ')}`);
        return shown(told);
      });
    }
  }
  await steps.take('the server elsewhere is told what it was told before, and nobody else is', async () => {
    const answer = await fetch(`http://127.0.0.1:${distant.port}/requests`);
    const requests = (await answer.json()) as { headers: Record<string, string> }[];
    const without = requests.filter(({ headers }) => headers.authorization !== SECRET || headers['x-team'] !== 'us');
    check(requests.length > 0 && without.length === 0, `${without.length} of ${requests.length} have other headers`);
    await typed('doctor').catch(() => undefined);
    said.push(readFileSync(join(user.home, '.config', 'portcullis', 'portcullis.yaml'), 'utf8'), user.notes());
    said.push(JSON.stringify(await user.entries()));
    check(!said.some((text) => text.includes('of-nobody-else')), 'the secret is in what was printed or kept');
    return `${requests.length} requests; the secret is in no output, not in the manifest, the ledger or the notes of the gate`;
  });
  await steps.take('restore', async () => {
    await typed('restore', '--all', '--yes');
    for (const { world, project } of places) {
      check(world.isAsWritten(), `the entries of ${world.file} differ: ${world.bytes()}`);
      check(world.isAsWritten(project), `the entries of ${project.file} differ: ${readFileSync(project.file, 'utf8')}`);
    }
    const own = places.filter(({ world }) => world.bytes() === world.text).map(({ world }) => world.client.id);
    const common = places.filter(({ project }) => isUntouched(project)).map(({ world }) => world.client.id);
    return `byte for byte: of users ${own.join(', ')}; of the project ${common.join(', ')}; the others rewrote theirs`;
  });
  await steps.take('the ledger verifies', async () => {
    for (const ledger of user.ledgers()) await typed('verify', ledger);
    return `${user.ledgers().length} ledger(s)`;
  });
}

function countedIn(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}
