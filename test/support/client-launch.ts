// What init makes of the servers in a client's file, for tests of the formats: a launch for each, and the edits of a whole file.

import { wrappedEntry } from '../../adapters/clients/entry-shapes.ts';
import type { FoundServer } from '../../adapters/clients/found-files.ts';
import { type Launch, type ServerEntry, sentVariables } from '../../adapters/clients/server-entry.ts';
import type { Edit } from '../../adapters/clients/text-edit.ts';

export function launchFor(agent: string, name: string, entry: ServerEntry): Launch | undefined {
  if (entry.kind !== 'stdio' && entry.kind !== 'remote') return undefined;
  const args = ['/opt/portcullis/bin/portcullis.js', 'wrap', '--agent', agent, '--name', name];
  if (entry.kind === 'stdio') return { command: '/usr/bin/node', args: [...args, '--', entry.command, ...entry.args] };
  const variable = (header: string) => `PORTCULLIS_${name}_${header}`.toUpperCase().replace(/[^A-Z0-9]+/g, '_');
  const env = Object.fromEntries(Object.entries(entry.headers).map(([header, value]) => [variable(header), value]));
  return { command: '/usr/bin/node', args, env, forwarded: sentVariables(entry) };
}

/** The edits that wrap every server that can be. */
export function wrappingEdits(agent: string, servers: readonly FoundServer[]): Edit[] {
  return servers.flatMap(({ name, path, place, raw, entry }) => {
    const launch = launchFor(agent, name, entry);
    if (launch === undefined) return [];
    return wrappedEntry(place.shape, raw, launch).map((edit) => ({ ...edit, path: [...path, ...edit.path] }));
  });
}
