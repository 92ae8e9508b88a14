// Who may use the HTTP listener, from the manifest: whoever proves a credential where it names any, and otherwise the user of this machine, on
// loopback only.

import { dirname } from 'node:path';
import type { HttpAccess } from '../adapters/downstream/http/access.ts';
import { openAuthenticator } from '../adapters/identity/authenticator.ts';
import type { Configuration } from './configuration.ts';
import { localPrincipal } from './identity.ts';
import { CommandError } from './output.ts';

/** Throws a CommandError when the credentials of the manifest cannot be checked. */
export function httpAccess({ manifest, file }: Configuration, agent: string | undefined): HttpAccess {
  const credentialed = Object.values(manifest.agents).some(({ auth }) => auth !== 'local');
  if (!credentialed) return { kind: 'local', principal: localPrincipal(manifest, agent) };
  const authenticator = openAuthenticator(manifest, dirname(file));
  if ('fault' in authenticator) throw new CommandError(authenticator.fault);
  return { kind: 'authenticated', authenticator };
}
