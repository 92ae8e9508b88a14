import { calculateJwkThumbprint, exportJWK, importSPKI } from 'jose';
import { describe, expect, it } from 'vitest';
import * as noble from '../../../../adapters/crypto/noble.ts';
import {
  equalBytes,
  generateSigningKey,
  hmacSha256,
  importSigningKey,
  keyThumbprint,
  open,
  publicKeyFromPem,
  publicKeyToPem,
  randomBytes,
  seal,
  sha256,
  Verifier,
} from '../../../../adapters/crypto/node-crypto.ts';

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const hex = (data: Uint8Array | undefined) => (data === undefined ? undefined : Buffer.from(data).toString('hex'));

describe('sealing', () => {
  const key = randomBytes(32);
  const sealed = seal(key, bytes('secret'), bytes('where'));

  it('does not open with any bit changed', () => {
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Uint8Array.from(sealed);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(open(key, changed, bytes('where'))).toBeUndefined();
    }
  });

  it('does not open with another key, in another place, cut short or empty', () => {
    expect(open(randomBytes(32), sealed, bytes('where'))).toBeUndefined();
    expect(open(key, sealed, bytes('elsewhere'))).toBeUndefined();
    for (let length = 0; length < sealed.length; length++) {
      expect(open(key, sealed.subarray(0, length), bytes('where'))).toBeUndefined();
    }
  });

  it('opens to what was sealed, and never seals twice alike', () => {
    expect(hex(open(key, sealed, bytes('where')))).toBe(hex(bytes('secret')));
    expect(hex(open(key, seal(key, new Uint8Array(), bytes('')), bytes('')))).toBe('');
    expect(hex(seal(key, bytes('secret'), bytes('where')))).not.toBe(hex(sealed));
  });
});

describe('hashes', () => {
  it('are those of the standards, in Node as in the browser', () => {
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect([hex(sha256(bytes('abc'))), hex(noble.sha256(bytes('abc')))]).toEqual([abc, abc]);
    // RFC 4231, test case 2.
    expect(hex(hmacSha256(bytes('Jefe'), bytes('what do ya want for nothing?')))).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
  });

  it('are compared by all their bytes', () => {
    expect(equalBytes(bytes('abc'), bytes('abd'))).toBe(false);
    expect(equalBytes(bytes('abc'), bytes('abcd'))).toBe(false);
    expect(equalBytes(bytes('abc'), bytes('abc'))).toBe(true);
  });
});

describe('keys', () => {
  const key = generateSigningKey();

  it('are not read from other kinds of keys or from nothing', async () => {
    const { generateKeyPairSync } = await import('node:crypto');
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(importSigningKey('')).toBeUndefined();
    expect(importSigningKey(ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())).toBeUndefined();
    expect(publicKeyFromPem(ec.publicKey.export({ type: 'spki', format: 'pem' }).toString())).toBeUndefined();
    expect(publicKeyFromPem(key.exportPem())).toBeUndefined();
    expect(publicKeyFromPem('')).toBeUndefined();
  });

  it('come back from their files', () => {
    expect(importSigningKey(key.exportPem())?.kid).toBe(key.kid);
    expect(hex(publicKeyFromPem(publicKeyToPem(key.publicKey)))).toBe(hex(key.publicKey));
  });

  it('have the thumbprint of RFC 8037', async () => {
    const jwk = await exportJWK(await importSPKI(publicKeyToPem(key.publicKey), 'Ed25519'));
    expect(key.kid).toBe(await calculateJwkThumbprint(jwk));
    // RFC 8037, appendix A.3.
    const published = Buffer.from('11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', 'base64url');
    expect(keyThumbprint(published)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
  });

  it('do not show themselves', () => {
    expect(JSON.stringify(key)).not.toContain('PRIVATE');
    expect(Object.keys(key).sort()).toEqual(['exportPem', 'kid', 'publicKey', 'sign']);
  });
});

describe('Verifier', () => {
  const key = generateSigningKey();
  const verifier = new Verifier();
  const kid = verifier.register(key.publicKey) ?? '';
  const message = bytes('message');
  const signature = key.sign(message);

  it('refuses what was not signed by the named key', () => {
    expect(verifier.verify('unknown', message, signature)).toBe(false);
    expect(verifier.verify(kid, bytes('massage'), signature)).toBe(false);
    expect(verifier.verify(kid, message, signature.subarray(1))).toBe(false);
    expect(verifier.verify(kid, message, new Uint8Array(64))).toBe(false);
    expect(verifier.verify(kid, message, signature)).toBe(true);
  });
});
