// What a person runs to look at a server that a gate does not offer, from any folder: told by the gate, so that it can be pasted.

import { basename } from 'node:path';
import type { Configuration } from './configuration.ts';
import { findHome, MANIFEST_NAME } from './home.ts';
import type { ServerLaunch } from './servers.ts';

export function reviewCommand(
  verb: 'approve' | 'diff',
  { name, ranIn }: Pick<ServerLaunch, 'name' | 'ranIn'>,
  configuration: Configuration | undefined,
): string {
  // Where no manifest lists it there are no rules for it either: the first step does both.
  if (configuration?.manifest.servers[name] === undefined)
    return `portcullis policy init --name ${name} -- COMMAND ARGS...`;
  const { file } = configuration;
  const isUsual = file === `${findHome().config}/${MANIFEST_NAME}` || basename(file) === 'manifest';
  return [
    `portcullis tools ${verb} ${name}`,
    ...(isUsual ? [] : [`--config ${quoted(file)}`]),
    ...(ranIn === undefined ? [] : [`--cwd ${quoted(ranIn)}`]),
  ].join(' ');
}

function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
