// What checks credentials, as a manifest says it.

import { openAuthenticator } from '../../adapters/identity/authenticator.ts';
import { parseManifest } from '../../control-plane/policy/parse-manifest.ts';

export function authenticatorOf(text: string) {
  const parsed = parseManifest(text, 'p.yaml');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const authenticator = openAuthenticator(parsed.manifest, '.');
  if ('fault' in authenticator) throw new Error(authenticator.fault);
  return authenticator;
}
