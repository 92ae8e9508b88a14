// A gate in front of several servers that are alike in every name and id, and differ in the label with which they sign what they say.

import { fixtureServer } from '../fixtures/servers/paths.ts';
import { type Installation, installation } from './cli.ts';

export const ALL_SERVERS = `@id("all")
@reason("neighbours are harmless")
permit (principal, action, resource);
`;

export interface NeighbourGate {
  /** Flags of each server, by its name: see the fixture. `isolation` and `limits` go into the manifest. */
  readonly servers: Readonly<Record<string, Neighbour>>;
  readonly agents?: object;
  readonly groups?: object;
  readonly rules?: string;
}

export interface Neighbour {
  readonly flags?: readonly string[];
  readonly isolation?: 'shared' | 'per-session';
  readonly limits?: object;
  readonly retryAfterUnknown?: 'allow';
}

export function neighbours({ servers, agents, groups, rules = ALL_SERVERS }: NeighbourGate): Installation {
  const at = installation();
  const entries = Object.entries(servers).map(([name, { flags = [], ...more }]) => {
    const args = [fixtureServer('neighbour.mjs'), name, `--log=${at.path(`${name}.jsonl`)}`, ...flags];
    return [name, { stdio: { command: process.execPath, args }, ...more }];
  });
  at.configure(
    {
      agents: agents ?? { me: { roles: [], auth: 'local' } },
      servers: Object.fromEntries(entries),
      ...(groups === undefined ? {} : { groups }),
    },
    rules,
  );
  return at;
}
