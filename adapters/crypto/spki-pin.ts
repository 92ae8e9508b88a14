// The pin of a public key: the digest of the key as it stands in a certificate (RFC 5280), so that it outlives the certificate.

import type { KeyObject } from 'node:crypto';
import { encodeBase64url } from '../../domain/base64url.ts';
import type { Digest } from '../../domain/digest.ts';
import { sha256 } from './node-crypto.ts';

export function spkiPin(key: KeyObject): Digest {
  return `sha256:${encodeBase64url(sha256(key.export({ format: 'der', type: 'spki' })))}`;
}
