// Servers that change what they say of themselves, beside one that does not: before anybody approved them, between a list and a call, and back again.

import { writeFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Installation, installation, type RunningCommand } from '../support/cli.ts';
import { urlOf } from '../support/counter-gate.ts';
import { entriesOf } from '../support/evidence.ts';
import { denialOf, RawHttp, textOf } from '../support/raw-mcp.ts';

afterEach(closeInstallations);

const ALLOW = '@id("all") @reason("a test")\npermit (principal, action, resource);\n';
const SECOND = '@id("well") @reason("a test")\npermit (principal, action, resource == Portcullis::Server::"well");\n';
const HIDDEN = 'adds numbers\u{E0073}\u{E0065}\u{E006E}\u{E0064}\u202e\u200b';

/** `turns` offers what stands in a file, and says so when that changes. */
function house(rules = ALLOW): { at: Installation; says: (description: string, more?: readonly string[]) => void } {
  const at = installation();
  const file = at.path('turns.json');
  const says = (description: string, more: readonly string[] = []): void =>
    writeFileSync(
      file,
      JSON.stringify([{ name: 'add', description }, ...more.map((name) => ({ name, description: name }))]),
    );
  says('adds numbers');
  const stdio = (...args: string[]) => ({ stdio: { command: process.execPath, args } });
  at.configure(
    {
      agents: { me: { roles: [], auth: 'local' } },
      servers: {
        turns: stdio(fixtureServer('turncoat.mjs'), file),
        well: stdio(fixtureServer('neighbour.mjs'), 'well'),
      },
    },
    rules,
  );
  return { at, says };
}

interface Answer {
  readonly servers: readonly {
    server: string;
    digest: string;
    state: string;
    marks: unknown[];
    lookAlikes: unknown[];
  }[];
}

async function review(at: Installation, ...servers: string[]): Promise<Answer['servers']> {
  return (JSON.parse((await at.run(['tools', 'review', ...servers, '--json'])).stdout) as Answer).servers;
}

async function approve(at: Installation, ...servers: string[]): Promise<void> {
  const looked = await review(at, ...servers);
  const digests = looked.flatMap(({ digest }) => ['--digest', digest]);
  expect(await at.run(['tools', 'approve', ...servers, ...digests])).toMatchObject({ code: 0 });
}

async function client(gate: RunningCommand): Promise<RawHttp> {
  const made = new RawHttp(await urlOf(gate));
  await made.initialize();
  return made;
}

async function names(of: RawHttp): Promise<string[]> {
  const { result } = await of.ask('tools/list');
  return ((result?.tools ?? []) as { name: string }[]).map(({ name }) => name);
}

const add = (of: RawHttp) => of.call('turns__add', {});
const until = (holds: () => Promise<boolean>) => expect.poll(holds, { timeout: 20_000, interval: 100 }).toBe(true);

proves(
  'G4',
  'nothing of a server is offered before it was approved, it is not even started, and it is opened while the gate runs',
  async () => {
    const { at } = house();
    const gate = at.start(['serve', '--name', 'g', '--http', '127.0.0.1:0'], { approve: 'no' });
    await gate.says('portcullis tools approve turns');
    const me = await client(gate);
    expect(await names(me)).toEqual([]);
    expect(denialOf(await add(me))).toBe('SERVER_UNAPPROVED');
    expect(gate.stderr).not.toContain('turncoat started');
    // Nobody can be asked, and a digest of something else approves nothing.
    expect(await at.run(['tools', 'approve', 'well'])).toMatchObject({ code: 2 });
    const wrong = ['tools', 'approve', 'well', '--digest', `sha256:${'A'.repeat(43)}`];
    expect(await at.run(wrong)).toMatchObject({ code: 1 });
    await approve(at, 'well');
    await until(async () => (await names(me)).includes('well__echo'));
    expect(textOf(await me.call('well__echo', { text: 'on' }))).toBe('well: on');
    expect(denialOf(await add(me))).toBe('SERVER_UNAPPROVED');
    // What is taken back is shut at once.
    expect(await at.run(['tools', 'revoke', 'well'])).toMatchObject({ code: 0 });
    expect(denialOf(await me.call('well__echo', { text: 'on' }))).toBe('SERVER_UNAPPROVED');
    expect(await names(me)).toEqual([]);
    await gate.stop();
    expect((await entriesOf(at.ledger('g'))).map(({ type }) => type)).toContain('tools.withdrawn');
    expect(await at.audit(['verify', at.ledger('g')])).toMatchObject({ code: 0 });
  },
  90_000,
);

proves(
  'G9',
  'that a server waits for approval is told to nobody of whom no rule speaks',
  async () => {
    const { at } = house(SECOND);
    const gate = at.start(['serve', '--name', 'g', '--http', '127.0.0.1:0'], { approve: 'no' });
    const me = await client(gate);
    await gate.says('portcullis tools approve turns');
    const waiting = await add(me);
    const nothing = await me.call('nowhere__add', {});
    expect(denialOf(waiting)).toBe(denialOf(nothing));
    expect(waiting.error?.code).toBe(nothing.error?.code);
    expect(denialOf(await me.call('well__echo', {}))).toBe('SERVER_UNAPPROVED');
    await gate.stop();
  },
  60_000,
);

proves(
  'G12',
  'a server that says something else is set aside with what runs, stays so when it goes back, and only a person lifts that',
  async () => {
    const { at, says } = house();
    const gate = at.start(['serve', '--name', 'g', '--http', '127.0.0.1:0'], { approve: 'fresh' });
    const me = await client(gate);
    await until(async () => (await names(me)).includes('turns__add'));
    expect(textOf(await add(me))).toBe('added');
    const running = me.call('turns__add', { waits: true });
    await gate.says('turncoat waits');
    says(HIDDEN, ['take_all']);
    expect(denialOf(await running)).toBeDefined();
    await gate.says(
      /server turns is set aside, because it is not what was approved: tools changed: add; tools added: take_all/,
    );
    expect(denialOf(await add(me))).toBe('SERVER_QUARANTINED');
    expect((await names(me)).filter((name) => name.startsWith('turns'))).toEqual([]);
    expect(textOf(await me.call('well__echo', { text: 'on' }))).toBe('well: on');
    // Every character is shown, and none of them reaches the terminal.
    const diff = await at.run(['tools', 'diff', 'turns']);
    expect(diff.code).toBe(1);
    expect(diff.stdout).toContain('{+[U+E0073 tag "s"]');
    expect(diff.stdout).toContain('[U+202E bidirectional]');
    expect(diff.stdout).not.toMatch(/[\u202e\u200b]|[\u{E0000}-\u{E007F}]/u);

    says('adds numbers');
    // Time enough to say so, and to be believed by mistake.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(denialOf(await add(me))).toBe('SERVER_QUARANTINED');
    await gate.stop();
    const again = at.start(['serve', '--name', 'g', '--http', '127.0.0.1:0'], { approve: 'no' });
    const later = await client(again);
    await again.says('server turns is set aside');
    expect(denialOf(await add(later))).toBe('SERVER_QUARANTINED');
    await approve(at, 'turns');
    await until(async () => textOf(await add(later)) === 'added');
    await again.stop();
    expect((await entriesOf(at.ledger('g'))).map(({ type }) => type)).toContain('tools.drifted');
    expect(await at.audit(['verify', at.ledger('g')])).toMatchObject({ code: 0 });
  },
  120_000,
);

it('a launch that is another one needs an approval of its own, and what differs is shown', async () => {
  const { at, says } = house();
  await approve(at);
  says(HIDDEN);
  const [turns] = await review(at, 'turns');
  expect(turns).toMatchObject({ state: 'changed' });
  expect(turns?.marks).toHaveLength(6);
  says('adds numbers');
  const manifest = JSON.parse(at.read('home/portcullis.yaml')) as { servers: { well: { stdio: { args: string[] } } } };
  manifest.servers.well.stdio.args.push('--tasks');
  at.write('home/portcullis.yaml', JSON.stringify(manifest));
  const { stdout } = await at.run(['tools', 'diff', 'well']);
  expect(stdout).toContain('started as: changed');
  expect(stdout).toContain('{+');
}, 60_000);
