// What a person runs to look at a server that a gate does not offer, or to approve it, from any folder: told by the gate, and ready to be pasted.

import { basename } from 'node:path';
import { isJsonObject } from '../domain/json.ts';
import type { Configuration } from './configuration.ts';
import { findHome, MANIFEST_NAME } from './home.ts';
import type { CommandLine, ServerLaunch } from './servers.ts';

/** `approve` and `diff`: what it says of itself. `integrity`: what it runs. */
export type ReviewVerb = 'approve' | 'diff' | 'integrity';

const COMMAND: Readonly<Record<ReviewVerb, string>> = {
  approve: 'tools approve',
  diff: 'tools diff',
  integrity: 'integrity',
};

export function reviewCommand(
  verb: ReviewVerb,
  { name, ranIn, description }: Pick<ServerLaunch, 'name' | 'ranIn' | 'description'>,
  configuration: Pick<Configuration, 'file' | 'manifest'> | undefined,
): string {
  // Where no manifest lists it there are no rules for it either: the first step does both.
  const line = lineOf(description);
  if (configuration?.manifest.servers[name] === undefined)
    return initCommand(name, line ?? { command: 'COMMAND', args: ['ARGS...'] }, configuration, ranIn);
  return ['portcullis', COMMAND[verb], name, ...whose(configuration, ranIn)].join(' ');
}

/** Writes a server that no manifest lists into one, with a folder of its own: from then on it is one server wherever a client is started. */
export function initCommand(
  name: string,
  { command, args }: CommandLine,
  configuration: Pick<Configuration, 'file'> | undefined,
  folder: string | undefined,
): string {
  const words = ['--name', name, ...whose(configuration, folder), '--', ...[command, ...args].map(quoted)];
  return ['portcullis policy init', ...words].join(' ');
}

function whose(configuration: Pick<Configuration, 'file'> | undefined, folder: string | undefined): string[] {
  const file = configuration?.file;
  const isUsual =
    file === undefined || file === `${findHome().config}/${MANIFEST_NAME}` || basename(file) === 'manifest';
  return [...(isUsual ? [] : ['--config', quoted(file)]), ...(folder === undefined ? [] : ['--cwd', quoted(folder)])];
}

function lineOf({ stdio }: ServerLaunch['description']): CommandLine | undefined {
  if (!isJsonObject(stdio) || typeof stdio.command !== 'string' || !Array.isArray(stdio.args)) return undefined;
  return { command: stdio.command, args: stdio.args.map(String) };
}

/** One word of a shell, whatever is in it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
