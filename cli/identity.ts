// Who is on the other side, from configuration. A process that started us on its pipes is the user's own; which agent it is, the manifest
// says, or the command line where the manifest has several.

import { localPrincipal as processPrincipal } from '../adapters/identity/local.ts';
import type { Manifest } from '../control-plane/policy/manifest.ts';
import type { Principal } from '../domain/principal.ts';
import { EXIT } from './exit-codes.ts';
import { CommandError } from './output.ts';

/** On a first run there is nobody to name. */
const NOBODY = 'local';

/** The principal of the local user. Throws a CommandError where the manifest does not say which agent that is. */
export function localPrincipal(manifest: Manifest | undefined, named: string | undefined): Principal {
  if (manifest === undefined) return processPrincipal({ agent: named ?? NOBODY, roles: [], root: true });
  const local = Object.entries(manifest.agents).filter(([, agent]) => agent.auth === 'local');
  const [only] = local;
  const chosen = named === undefined ? (local.length === 1 ? only : undefined) : local.find(([name]) => name === named);
  if (chosen !== undefined) return processPrincipal({ agent: chosen[0], roles: chosen[1].roles, root: chosen[1].root });
  const names = local.map(([name]) => name).join(', ');
  if (named !== undefined) {
    throw new CommandError(`no agent "${named}" with auth: local in the manifest`, EXIT.usage, [
      `agents with auth: local: ${names || 'none'}`,
    ]);
  }
  throw new CommandError(
    local.length === 0
      ? 'the manifest names no agent with auth: local'
      : `which agent is calling? the manifest has ${names}`,
    EXIT.usage,
    [local.length === 0 ? 'add one under agents:, for example  me: { roles: [dev], auth: local }' : 'add --agent NAME'],
  );
}
