// Who may use the HTTP listener, from the manifest: credentials where it names any, and otherwise the user of this machine, on loopback only.

import type { HttpAccess } from '../adapters/downstream/http/http-front.ts';
import type { Manifest } from '../control-plane/policy/manifest.ts';
import { localPrincipal } from './identity.ts';

export function httpAccess(manifest: Manifest, _file: string, agent: string | undefined): HttpAccess {
  return { kind: 'local', principal: localPrincipal(manifest, agent) };
}
