// Sessions at a command line as text: what a user types after `$`, what comes back, and the exit code where it is not 0. `…` stands for
// anything on that line, a line that is only `…` for any number of lines. Names of things that differ from run to run are put in with {name}.

import { expect } from 'vitest';
import type { Installation } from '../support/cli.ts';

interface Step {
  readonly command: string;
  readonly expected: string[];
}

function stepsOf(session: string): Step[] {
  const steps: Step[] = [];
  for (const raw of session.split('\n')) {
    const line = raw.replace(/^ {0,4}/, '').trimEnd();
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), expected: [] });
    else if (steps.length > 0) steps.at(-1)?.expected.push(line);
  }
  for (const { expected } of steps) while (expected.at(-1) === '') expected.pop();
  return steps;
}

/** Plays the session; output on both streams is compared in the order of their lines, first what is on stdout, then what is on stderr. */
export async function play(
  at: Installation,
  session: string,
  names: Readonly<Record<string, string>> = {},
): Promise<void> {
  const filled = session.replaceAll(/\{(\w+)\}/g, (whole, name: string) => names[name] ?? whole);
  for (const { command, expected } of stepsOf(filled)) {
    const [program, ...args] = wordsOf(command).map((word) => word.replace(/^~(?=\/)/, at.folder));
    expect(program, command).toBe('portcullis');
    const { code, stdout, stderr } = await at.run(args, { env: { NO_COLOR: '1' } });
    const lines = `${stdout}${stderr}`
      .replaceAll(at.folder, '~')
      .split('\n')
      .map((line) => line.trimEnd());
    while (lines.at(-1) === '') lines.pop();
    if (code !== 0) lines.push(`(exit ${code})`);
    const wanted = expected.map((line) => line.replaceAll(at.folder, '~'));
    if (!matches(lines, wanted))
      expect([`$ ${command}`, ...lines].join('\n')).toBe([`$ ${command}`, ...wanted].join('\n'));
  }
}

/** Words as a shell makes them, with single quotes and without anything else. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

function matches(lines: readonly string[], wanted: readonly string[]): boolean {
  const [first, ...rest] = wanted;
  if (first === undefined) return lines.length === 0;
  if (first.trim() === '…') return lines.some((_, at) => matches(lines.slice(at), rest)) || matches([], rest);
  const [line, ...others] = lines;
  if (line === undefined) return false;
  const pattern = first.split('…').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${pattern.join('.*')}$`).test(line) && matches(others, rest);
}
