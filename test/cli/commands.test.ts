// Every command says what it is, refuses what it does not understand with exit code 2, and answers programs with one JSON value.

import { spawnSync } from 'node:child_process';
import { afterAll, describe, expect, it } from 'vitest';
import { allOf, type CommandShape } from '../../cli/completion/command-shape.ts';
import { closeInstallations, type Installation, installation, PORTCULLIS } from '../support/cli.ts';
import { counterGate } from '../support/counter-gate.ts';
import { play } from './session.ts';

afterAll(closeInstallations);

/** Every command that there is, as the program itself tells. */
async function everyCommand(at: Installation): Promise<readonly string[]> {
  const { stdout } = await at.run(['completion', 'bash', '--json']);
  const { program } = JSON.parse(stdout) as { program: CommandShape };
  return allOf(program).map(({ path }) => path);
}

const wordsOf = (command: string): string[] => command.split(' ').filter((word) => word !== '');

describe('every command', () => {
  // All of them get both from one place; a process for each would tell no more.
  it.each(['', 'wrap', 'policy', 'policy init', 'tools approve', 'calls settle'])(
    'has --help and --version: %s',
    async (command) => {
      const at = installation();
      const help = await at.run([...wordsOf(command), '--help']);
      expect(help, command).toMatchObject({ code: 0, stderr: '' });
      expect(help.stdout, command).toMatch(new RegExp(`^Usage: portcullis ${command}`));
      const version = await at.run([...wordsOf(command), '--version']);
      expect(version, command).toMatchObject({ code: 0, stderr: '' });
      expect(version.stdout, command).toMatch(/^\d+\.\d+\.\d+\n$/);
    },
  );

  it('refuses an option it does not have, under our name, with exit code 2', async () => {
    const at = installation();
    const commands = await everyCommand(at);
    expect(commands.length).toBeGreaterThan(25);
    for (const command of commands) {
      const ended = await at.run([...wordsOf(command), '--no-such-option']);
      expect(ended, command).toMatchObject({ code: 2, stdout: '' });
      expect(ended.stderr, command).toMatch(/^portcullis: (unknown|required) option .*\nportcullis: hint: /);
    }
  }, 60_000);
});

describe('wrong usage', () => {
  it('reads like this', async () => {
    await play(
      installation(),
      `
    $ portcullis nonsense
    portcullis: unknown command 'nonsense'
    portcullis: hint: portcullis --help lists the commands
    (exit 2)

    $ portcullis wrap
    portcullis: which server?
    portcullis: hint: give the command that starts it, or --name with a server of the manifest
    (exit 2)

    $ portcullis wrap --name a__b -- true
    portcullis: "a__b" cannot name a server
    portcullis: hint: use 1 to 64 letters, digits, "_" and "-", without "__"…
    (exit 2)

    $ portcullis serve --http 127.0.0.1:0
    portcullis: there is no ~/home/portcullis.yaml
    portcullis: hint: name one with --config FILE
    portcullis: hint: to put the servers of your clients behind the gate: portcullis init
    portcullis: hint: to write a starter for one server: portcullis policy init -- COMMAND ARGS...
    (exit 2)

    $ portcullis verify ~/nothing
    portcullis: there is no ~/nothing
    portcullis: hint: name the folder of a ledger or a proof file
    (exit 1)

    $ portcullis replay .
    portcullis: there is no ledger in ~
    portcullis: hint: name the folder that holds seg/
    portcullis: hint: to see the ledgers of this installation: portcullis doctor
    (exit 1)

    $ portcullis prove . 42 -o proof
    portcullis: "42" is not the id of a call
    portcullis: hint: portcullis log shows the ids
    (exit 2)

    $ portcullis log
    portcullis: this installation has no ledger yet
    portcullis: hint: start a gate: portcullis wrap -- COMMAND ARGS...
    (exit 1)
    `,
    );
  }, 60_000);

  it('of serve: nowhere to listen, a bad address, a name that is no name, no such agent', async () => {
    const { at } = counterGate();
    await play(
      at,
      `
    $ portcullis serve
    portcullis: nowhere to listen
    portcullis: hint: give --http 127.0.0.1:PORT, --stdio, or both
    (exit 2)

    $ portcullis serve --http elsewhere
    portcullis: "elsewhere" is not HOST:PORT
    portcullis: hint: for example 127.0.0.1:7300
    (exit 2)

    $ portcullis serve --http 127.0.0.1:0 --name ../../elsewhere
    portcullis: "../../elsewhere" cannot name a gate
    portcullis: hint: use 1 to 64 letters, digits, "_" and "-"
    (exit 2)

    $ portcullis serve --http 127.0.0.1:0 --name a+b
    portcullis: "a+b" cannot name a gate
    portcullis: hint: use 1 to 64 letters, digits, "_" and "-"
    (exit 2)

    $ portcullis serve --http 127.0.0.1:0 --agent nobody
    …
    portcullis: no agent "nobody" with auth: local in the manifest
    portcullis: hint: agents with auth: local: me
    (exit 2)

    $ portcullis wrap --name counter -- another command
    portcullis: servers.counter in ~/home/portcullis.yaml is another command
    portcullis: hint: configured: …/counter.mjs ~/heard.jsonl
    portcullis: hint: given:      another command
    portcullis: hint: make them the same, or choose another --name
    (exit 2)
    `,
    );
  }, 60_000);
});

describe('--json', () => {
  it('gives exactly one value on stdout, also for errors and wrong usage', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    await client.call('count', { by: 1 });
    client.running.child.stdin.end();
    await client.running.ended;
    const ledger = counter.at.ledger('counter');
    const [first] = (await counter.at.run(['log', '--json', '--last', '1'])).stdout.split('\n');
    const { call } = JSON.parse(first ?? '') as { call: string };
    const table = counter.at.write('table.yaml', 'not a table');
    const cases: readonly (readonly [readonly string[], number])[] = [
      [['verify', ledger], 0],
      [['replay', ledger], 0],
      [['prove', ledger, call, '-o', counter.at.path('proof')], 0],
      [['verify', counter.at.path('proof')], 0],
      [['log', '--last', '1'], 0],
      [['policy', 'check'], 0],
      [['policy', 'explain', call], 0],
      [['policy', 'test', table], 1],
      [['keys'], 0],
      [['keys', '--new-api-key'], 0],
      [['doctor'], 0],
      [['verify', counter.at.path('nowhere')], 1],
      [['verify', table], 5],
      [['verify'], 2],
      [['prove', ledger, 'x', '-o', 'y'], 2],
      [['policy', 'check', '--config', table], 1],
      [['serve'], 2],
    ];
    for (const [args, code] of cases) {
      const ended = await counter.at.run([...args, '--json']);
      expect({ args, code: ended.code }, ended.stdout + ended.stderr).toEqual({ args, code });
      const lines = ended.stdout.split('\n');
      expect(lines, args.join(' ')).toHaveLength(2);
      expect(typeof JSON.parse(lines[0] ?? ''), args.join(' ')).toBe('object');
      expect(lines[1]).toBe('');
    }
    const rules = counter.at.write(
      'home/policy/rules.cedar',
      'permit (principal, action, resource == Portcullis::Nonsense::"x");',
    );
    const invalid = await counter.at.run(['policy', 'check', '--json']);
    expect(invalid.code, rules).toBe(1);
    expect(JSON.parse(invalid.stdout)).toMatchObject({
      ok: false,
      problems: expect.arrayContaining([expect.objectContaining({ line: 1 })]),
    });
  }, 90_000);
});

describe('a reader that goes away', () => {
  it('ends nothing badly: log | head, doctor | true', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    await Promise.all(Array.from({ length: 200 }, (_, by) => client.call('count', { by })));
    client.running.child.stdin.end();
    await client.running.ended;
    for (const command of ['log --all --json', 'log', 'doctor', 'log --follow --json']) {
      const { status, stdout, stderr } = spawnSync(
        'bash',
        ['-c', `set -o pipefail; "${process.execPath}" "${PORTCULLIS}" ${command} | head -1`],
        { env: counter.at.env, encoding: 'utf8', timeout: 20_000 },
      );
      expect({ command, status, stderr }).toEqual({ command, status: 0, stderr: '' });
      expect(stdout.split('\n'), command).toHaveLength(2);
    }
  }, 60_000);

  it('of what a gate says does not end the gate', async () => {
    const counter = counterGate();
    const client = await counter.wrapped();
    client.running.child.stderr.destroy();
    await client.call('die', {});
    await expect
      .poll(async () => (await client.call('count', { by: 1 }))?.result?.isError ?? false, { timeout: 20_000 })
      .toBe(false);
    client.running.child.stdin.end();
    expect((await client.running.ended).code).toBe(0);
  }, 60_000);
});
