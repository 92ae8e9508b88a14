// The certificate with which the HTTP listener speaks TLS, read from the files that the manifest names.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { TlsIdentity } from '../adapters/downstream/http/transport.ts';
import type { Configuration } from './configuration.ts';
import { CommandError, reasonOf } from './output.ts';

/** Undefined where plain HTTP is spoken. Throws a CommandError where the files are not what they should be. Read once: who changes them starts anew. */
export function tlsOf({ manifest, file }: Pick<Configuration, 'manifest' | 'file'>): TlsIdentity | undefined {
  const { tls } = manifest.listen;
  if (tls === undefined) return undefined;
  const read = (what: 'cert' | 'key'): string => {
    const path = resolve(dirname(file), tls[what]);
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw new CommandError(`${file}: listen.tls.${what} cannot be read: ${reasonOf(error)}`);
    }
  };
  const [cert, key] = [read('cert'), read('key')];
  try {
    new X509Certificate(cert);
  } catch {
    throw new CommandError(`${file}: listen.tls.cert is not a certificate (PEM)`);
  }
  try {
    createSecureContext({ cert, key });
  } catch {
    // What the library says may quote the key.
    throw new CommandError(
      `${file}: listen.tls.key is not the private key (PEM, without a passphrase) of listen.tls.cert`,
    );
  }
  const asksClients = Object.values(manifest.agents).some(
    ({ auth }) => typeof auth !== 'string' && auth.spki !== undefined,
  );
  return { cert, key, asksClients };
}
