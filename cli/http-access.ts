// Who may use the HTTP listener, from the manifest: whoever proves a credential where it names any, and otherwise the user of this machine, on
// loopback only.

import { dirname } from 'node:path';
import type { HttpAccess } from '../adapters/downstream/http/access.ts';
import { openAuthenticator } from '../adapters/identity/authenticator.ts';
import type { Configuration } from './configuration.ts';
import { EXIT } from './exit-codes.ts';
import { localPrincipal } from './identity.ts';
import { CommandError } from './output.ts';

const OPEN_TO_PROCESSES = 'over HTTP the agents that this gate starts could come in as the local agent';
const CREDENTIAL = 'give whoever comes over HTTP a credential (portcullis keys --new-api-key), or serve --stdio only';

/** Throws a CommandError when the credentials of the manifest cannot be checked. */
export function httpAccess({ manifest, file }: Configuration, agent: string | undefined): HttpAccess {
  const agents = Object.values(manifest.agents);
  if (!agents.some(({ auth }) => typeof auth !== 'string')) {
    // Whoever is on this machine would be the local agent: so would those that are started here to be held to less.
    if (agents.some(({ auth }) => auth === 'process'))
      throw new CommandError(OPEN_TO_PROCESSES, EXIT.usage, [CREDENTIAL]);
    return { kind: 'local', principal: localPrincipal(manifest, agent) };
  }
  const authenticator = openAuthenticator(manifest, dirname(file));
  if ('fault' in authenticator) throw new CommandError(authenticator.fault);
  return { kind: 'authenticated', authenticator };
}
