import { createHash, generateKeyPairSync } from 'node:crypto';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { namesOf } from '../../../../adapters/identity/public-key.ts';
import { selfSigned } from '../../../support/certificates.ts';

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = publicKey.export({ format: 'jwk' }) as JWK;
const spki = createHash('sha256')
  .update(publicKey.export({ format: 'der', type: 'spki' }))
  .digest('base64url');
const names = { thumbprint: await calculateJwkThumbprint(jwk), spki: `sha256:${spki}` };

describe('what is said of a public key', () => {
  it.each<[string, string, RegExp]>([
    ['a private key', String(privateKey.export({ format: 'pem', type: 'pkcs8' })), /private key/],
    ['a private JWK', JSON.stringify(privateKey.export({ format: 'jwk' })), /private key/],
    ['a secret', '{"kty":"oct","k":"AAAA"}', /private key/],
    ['nothing', '', /neither a certificate nor a public key/],
    ['half a JWK', '{"kty":"EC"', /neither/],
    ['a JWK of no kind', '{"kty":"none"}', /neither/],
    ['a certificate that is none', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', /neither/],
  ])('is not said of %s', async (_, text, why) => {
    await expect(namesOf(text)).rejects.toThrow(why);
  });

  it('is the same however it is written', async () => {
    expect(await namesOf(JSON.stringify(jwk))).toEqual(names);
    expect(await namesOf(String(publicKey.export({ format: 'pem', type: 'spki' })))).toEqual(names);
  });

  it('is that of the key in a certificate', async () => {
    expect(await namesOf(selfSigned({ keys: { publicKey, privateKey } }).cert)).toEqual(names);
  });
});
