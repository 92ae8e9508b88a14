// What the shells make of our completion: each script is read by the shell itself, and asked what it offers.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CommandShape } from '../../cli/completion/command-shape.ts';
import { referenceText } from '../../packaging/generated.ts';
import { closeInstallations, type Installation, installation } from '../support/cli.ts';

afterAll(closeInstallations);

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];
/** bash is part of every machine that these tests run on; the others are asked where they are. */
const present = SHELLS.filter((shell) => shell === 'bash' || spawnSync(shell, ['-c', 'true']).status === 0);

let at: Installation;
let program: CommandShape;
const scripts = new Map<Shell, string>();

beforeAll(async () => {
  at = installation();
  for (const shell of SHELLS) {
    const { code, stdout } = await at.run(['completion', shell, '--json']);
    expect(code).toBe(0);
    const answer = JSON.parse(stdout) as { script: string; program: CommandShape };
    scripts.set(shell, at.write(`portcullis.${shell}`, answer.script));
    program = answer.program;
  }
});

/** The words of a line up to where the cursor is, and what is offered there: all of it, or some of it. */
const OFFERS: readonly (readonly [readonly string[], readonly string[], 'all' | 'some'])[] = [
  [['pol'], ['policy'], 'all'],
  [['policy', ''], ['init', 'check', 'explain', 'test'], 'all'],
  [['quarantine', 'l'], ['list', 'lift'], 'all'],
  [['nonsense', 'policy', 'ch'], ['check'], 'all'],
  [['serve', '--h'], ['--http', '--help'], 'all'],
  [['verify', '--'], ['--key', '--checkpoint', '--quick', '--json'], 'some'],
  [['completion', ''], ['bash', 'zsh', 'fish'], 'all'],
  // The value of an option is not a command, and no command stands where a value is expected.
  [['log', '--server', 'policy', '--de'], ['--denied'], 'all'],
  [['halt', '--name', ''], [], 'all'],
  // What another program's command line holds is not ours.
  [['wrap', '--', 'node', '--c'], [], 'all'],
  [['wrap', 'node', '--c'], [], 'all'],
];

/** One process for all lines; an empty line of its output ends what is offered for one. */
function offered(shell: Shell): string[][] {
  const file = scripts.get(shell) ?? '';
  const asked = OFFERS.map(([words]) => words.map((word) => `'${word}'`).join(' '));
  const text = {
    bash: [
      `source '${file}'; [[ $(complete -p portcullis) == *'-F _portcullis portcullis' ]] || exit 9`,
      'ask() { COMP_WORDS=(portcullis "$@"); COMP_CWORD=$#; _portcullis portcullis; printf "%s\\n" "${COMPREPLY[@]}" .; }',
      ...asked.map((words) => `ask ${words}`),
    ],
    // What its completion system would show, without a terminal.
    zsh: [
      'compdef() { :; }; _files() { :; }; _normal() { :; }; _message() { :; }',
      '_describe() { local -a all; all=("${(@P)@[-1]}"); print -l -- "${(@M)${(@)all%%:*}:#${words[CURRENT]}*}"; }',
      `source '${file}'`,
      'ask() { words=(portcullis "$@"); CURRENT=$#words; _portcullis; print .; }',
      ...asked.map((words) => `ask ${words}`),
    ],
    fish: [
      `source '${file}'`,
      'function ask; complete -C "portcullis $argv" | string replace -r "\\t.*" ""; echo .; end',
      ...OFFERS.map(([words]) => `ask '${words.join(' ')}'`),
    ],
  }[shell].join('\n');
  const options = {
    encoding: 'utf8',
    timeout: 25_000,
    cwd: at.path(''),
    env: { ...at.env, HOME: at.path('') },
  } as const;
  const { status, stdout, stderr } = spawnSync(shell, shell === 'zsh' ? ['-f', '-c', text] : ['-c', text], options);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout
    .split('.\n')
    .slice(0, OFFERS.length)
    .map((block) => block.split('\n').filter((word) => word !== '' && !word.startsWith('portcullis.')));
}

describe('completion', () => {
  it.each(present)('is a script that %s can read', (shell) => {
    const { status, stderr } = spawnSync(shell, ['-n', scripts.get(shell) ?? ''], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it.each(present)('offers in %s what can stand there, and nothing else', (shell) => {
    const found = offered(shell);
    for (const [index, [words, wanted, how]] of OFFERS.entries()) {
      const line = `portcullis ${words.join(' ')}`;
      const got = [...new Set(found[index] ?? [])];
      if (how === 'all') expect({ line, got: got.sort() }).toEqual({ line, got: [...wanted].sort() });
      else expect(got, line).toEqual(expect.arrayContaining([...wanted]));
    }
  });

  it('knows every command that --help lists', async () => {
    const { stdout } = await at.run(['--help']);
    const listed = [...(stdout.split('Commands:\n')[1] ?? '').matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name);
    expect(program.commands.map(({ path }) => path)).toEqual(listed.filter((name) => name !== 'help'));
  });

  it('and the reference of the commands tell of the same ones: npm run generate', () => {
    const { file, text } = referenceText(program);
    expect(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')).toBe(text);
  });

  it('of another shell is refused', async () => {
    const { code, stderr } = await at.run(['completion', 'tcsh']);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('bash, zsh, fish') });
  });
});
