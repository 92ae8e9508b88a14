// `wrap` in the words that `portcullis init` writes joins the shared gate before anything else is loaded. A command line that says anything else is left
// to the command line's own reading, which knows all of it.

import type { Joined } from './join-gate.ts';
import type { CommandLine } from './servers.ts';

interface Entry {
  readonly name: string | undefined;
  readonly agent: string | undefined;
  readonly line: CommandLine | undefined;
}

/** Undefined where it says more than an entry does. */
export function entryOf(argv: readonly string[]): Entry | undefined {
  const [command, ...rest] = argv;
  if (command !== 'wrap') return undefined;
  const stop = rest.indexOf('--');
  const options = stop < 0 ? rest : rest.slice(0, stop);
  const [program, ...args] = stop < 0 ? [] : rest.slice(stop + 1);
  const said: Record<string, string> = {};
  for (let at = 0; at < options.length; at += 2) {
    const [option = '', value] = [options[at], options[at + 1]];
    if ((option !== '--name' && option !== '--agent') || value === undefined || option in said) return undefined;
    said[option] = value;
  }
  if (program === undefined && said['--name'] === undefined) return undefined;
  return {
    name: said['--name'],
    agent: said['--agent'],
    line: program === undefined ? undefined : { command: program, args },
  };
}

/** What became of it; undefined where the entry did not join. */
export async function joinedAhead(argv: readonly string[]): Promise<Joined | undefined> {
  const entry = entryOf(argv);
  return entry === undefined ? undefined : (await import('./join-gate.ts')).joinGate(entry);
}
