// From a server that nobody approved to one whose files changed, in one home: each command is the one that was printed before it.

import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { proves } from '../guarantees.ts';
import { closeInstallations, type Ended, installation, PORTCULLIS, type RunningCommand } from '../support/cli.ts';

afterAll(closeInstallations);

const at = installation();
const project = at.path('a project');
const elsewhere = at.path('elsewhere');
for (const folder of [project, elsewhere, at.path('srv')]) mkdirSync(folder);
writeFileSync(at.path('srv/package.json'), JSON.stringify({ name: 'srv', type: 'module' }));
writeFileSync(at.path('srv/data.txt'), 'data\n');
cpSync(fixtureServer('neighbour.mjs'), at.path('srv/neighbour.mjs'));
const line = [process.execPath, at.path('srv/neighbour.mjs'), "it's"];

/** Pasted into a shell, in another folder. */
function pasted(command: string): Pick<Ended, 'code' | 'stdout' | 'stderr'> {
  const shell = `portcullis() { '${process.execPath}' '${PORTCULLIS}' "$@"; }\n${command}`;
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', shell], {
    cwd: elsewhere,
    env: at.env,
    encoding: 'utf8',
  });
  return { code: status, stdout, stderr };
}

/** What a gate of a client in that folder says that a person should run. */
async function told(cwd: string, command: RegExp): Promise<{ gate: RunningCommand; command: string }> {
  const gate = at.start(['wrap', '--', ...line], { cwd, approve: 'no' });
  await gate.says(/neighbour is not approved/);
  const said = new RegExp(`is not approved .*approve it: (${command.source}[^\n]*)`).exec(gate.stderr)?.[1];
  expect(said, gate.stderr).toBeDefined();
  return { gate, command: said ?? '' };
}

interface Answer<One> {
  readonly servers: readonly One[];
}
const servers = <One>({ stdout }: Pick<Ended, 'stdout'>): readonly One[] => (JSON.parse(stdout) as Answer<One>).servers;
const digestOf = (review: string): string => servers<{ digest: string }>(pasted(`${review} --json`))[0]?.digest ?? '';

describe('a server that nobody approved', () => {
  it('is written into a manifest by the command that the gate says, with the folder of its client', async () => {
    const { gate, command } = await told(project, /portcullis policy init/);
    await gate.stop();
    expect(pasted(command)).toMatchObject({ code: 0 });
    expect(at.read('home/portcullis.yaml')).toContain(project);
    // It is one server from now on, wherever its client is started: the folder need not be said any more.
    const again = await told(elsewhere, /portcullis tools approve/);
    expect(again.command).toBe('portcullis tools approve neighbour');
    await again.gate.stop();
    const { stdout } = await at.run(['doctor']);
    expect(stdout).toMatch(/remark {3}server neighbour {2}waits for approval\n *portcullis tools approve neighbour\n/);
  }, 60_000);

  proves(
    'G4',
    'is approved by the command that the gate says where the folder is that of a client, and has come then',
    async () => {
      const manifest = at.read('home/portcullis.yaml').replace(/^ *cwd:.*\n/m, '');
      at.write('home/portcullis.yaml', manifest);
      const { gate, command } = await told(project, /portcullis tools approve/);
      expect(command).toBe(`portcullis tools approve neighbour --cwd '${project}'`);
      const digest = digestOf(command.replace('approve', 'review'));
      expect(pasted(`${command} --digest ${digest}`)).toMatchObject({ code: 0 });
      // How it introduced itself then is remembered, so that no gate starts it for nothing else than to ask.
      expect(at.read('home/state/introductions.json')).toContain('neighbour');
      await gate.says('server neighbour has come');
      await gate.stop();
    },
    60_000,
  );
});

describe('a server that was approved', () => {
  const whose = `neighbour --cwd '${project}'`;

  proves(
    'G12',
    'is as approved until one of its files changes, which is named, and shown before it is approved again',
    async () => {
      const good = pasted(`portcullis integrity ${whose} --json`);
      expect(good.code).toBe(0);
      const [before] = servers<{ approved: string; now: string }>(good);
      expect(before).toMatchObject({ state: 'as approved', runsFrom: at.path('srv'), differences: [] });
      expect(before?.now).toBe(before?.approved);

      appendFileSync(at.path('srv/data.txt'), 'more\n');
      writeFileSync(at.path('srv/new.txt'), '');
      const text = pasted(`portcullis integrity ${whose}`);
      expect(text.code).toBe(5);
      expect(text.stdout).toContain('server neighbour: different');
      expect(text.stdout).toMatch(/ content +\S+\/srv\/data\.txt\n/);
      expect(text.stdout).toMatch(/ added +\S+\/srv\/new\.txt\n/);
      const [after] = servers<{ approved: string; now: string }>(pasted(`portcullis integrity ${whose} --json`));
      expect(after).toMatchObject({
        state: 'different',
        approved: before?.approved,
        differences: [
          { item: at.path('srv/data.txt'), what: 'content' },
          { item: at.path('srv/new.txt'), what: 'added' },
        ],
      });
      expect(after?.now).not.toBe(before?.now);

      // What it says of itself is what it was.
      const diff = pasted(`portcullis tools diff ${whose} --json`);
      expect(diff.code).toBe(1);
      const [one] = servers<{ digest: string }>(diff);
      expect(one).toMatchObject({
        state: 'changed',
        changes: null,
        ran: [{ item: `tree package ${at.path('srv')}`, what: 'changed' }],
      });

      expect(pasted(`portcullis tools approve --cwd '${project}' --digest ${one?.digest}`).stdout).toContain(
        'approved as',
      );
      const [again] = servers<{ approved: string }>(pasted(`portcullis integrity ${whose} --json`));
      expect(again).toMatchObject({ state: 'as approved', approved: after?.now });
    },
    90_000,
  );
});
