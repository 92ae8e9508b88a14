// Our credentials at the authorization servers of protected tool servers, as commands find them: those of the gates of one name.

import { existsSync } from 'node:fs';
import { CredentialStore } from '../adapters/upstream/http/oauth/credentials.ts';
import { credentialsFile, gateFolder, type Home } from './home.ts';
import { openKeys } from './ledger.ts';

/** The name of a gate that was given none. */
export const USUAL_GATE = 'serve';

/** Undefined where nobody has logged in: looking makes no keys. */
export function existingCredentials(home: Home, gate: string = USUAL_GATE): CredentialStore | undefined {
  const folder = gateFolder(home, gate);
  const file = credentialsFile(folder);
  return existsSync(file) ? new CredentialStore(file, openKeys(folder.keys).vault) : undefined;
}
