// Tells a command line that starts a gate from one that starts a server, whichever installation the gate belongs to.

import type { WrappedEntry } from './server-entry.ts';

const PROGRAM = /^portcullis(?:\.(?:cmd|exe|ps1|js))?$/i;
const SCRIPT = /^portcullis(?:\.js|@[^\\/]*)?$/i;

/** What a wrapped line says, without whether it is switched on; undefined for any other line. */
export function wrappedLine(command: string, args: readonly string[]): Omit<WrappedEntry, 'disabled'> | undefined {
  if (PROGRAM.test(lastPart(command)) && args[0] === 'wrap') return said(command, args.slice(1));
  const at = args.findIndex((word, index) => SCRIPT.test(lastPart(word)) && args[index + 1] === 'wrap');
  return at < 0 ? undefined : said(args[at] ?? '', args.slice(at + 2));
}

function said(gate: string, words: readonly string[]): Omit<WrappedEntry, 'disabled'> {
  const end = words.indexOf('--');
  const options = end < 0 ? words : words.slice(0, end);
  const [command, ...args] = end < 0 ? [] : words.slice(end + 1);
  const agent = option(options, '--agent');
  const name = option(options, '--name');
  return {
    kind: 'wrapped',
    gate,
    ...(agent === undefined ? {} : { agent }),
    ...(name === undefined ? {} : { name }),
    ...(command === undefined ? {} : { line: { command, args } }),
  };
}

function option(words: readonly string[], name: string): string | undefined {
  const at = words.indexOf(name);
  if (at >= 0) return words[at + 1];
  return words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
}

function lastPart(path: string): string {
  return path.split(/[\\/]/).at(-1) ?? '';
}
