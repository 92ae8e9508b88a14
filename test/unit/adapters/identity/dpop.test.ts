import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { CompactSign, calculateJwkThumbprint, exportSPKI, importJWK, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { PROOF_ALGORITHMS, ProofChecks, type ProofSubject } from '../../../../adapters/identity/dpop.ts';
import { NONCE_SECONDS, PROOF_CHARACTERS_MAX, PROOF_ID_CHARACTERS_MAX } from '../../../../adapters/identity/limits.ts';
import { ProofNonces } from '../../../../adapters/identity/proof-nonces.ts';
import { proves } from '../../../guarantees.ts';
import { generateProofKey } from '../../../support/authorization-server.ts';

const NOW = 1_795_250_000;
const URL_OF_US = 'https://gate.example/mcp/fs';
const TOKEN = 'eyJ.token.c2ln';

const key = await generateProofKey();
const rsa = await generateProofKey('RS256');
const thief = await generateProofKey();
const about = { method: 'POST', url: URL_OF_US, token: TOKEN, nowSeconds: NOW };
const subject: ProofSubject = { method: 'POST', url: URL_OF_US, token: TOKEN, key: key.jkt, holder: 'alice' };
const PUBLIC = createPublicKey({ key: key.publicJwk as JsonWebKey, format: 'jwk' });
const nonces = new ProofNonces(new Uint8Array(32).fill(7));

function checks(nonceRequired = false, startedSeconds = NOW - 3600): ProofChecks {
  return new ProofChecks(nonces, nonceRequired, startedSeconds * 1000);
}

const prove = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) =>
  key.prove(about, claims, header);

function part(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

describe('a proof', () => {
  const refused: [string, () => string | undefined | Promise<string>][] = [
    ['that is not there', () => undefined],
    ['that is empty', () => ''],
    ['that is no JWT', () => 'a.b'],
    ['that is two', async () => `${await prove()}, ${await prove()}`],
    ['with padding', async () => `${await prove()}==`],
    ['that is encrypted', async () => `${await prove()}.AAAA.AAAA`],
    ['longer than we read', () => prove({ more: 'A'.repeat(PROOF_CHARACTERS_MAX) })],
    ['of another type', () => prove({}, { typ: 'JWT' })],
    ['whose type is longer', () => prove({}, { typ: 'application/dpop+jwt' })],
    ['that is an access token by type', () => prove({}, { typ: 'at+jwt' })],
    ['without a type', () => prove({}, { typ: undefined })],
    [
      'without an algorithm',
      async () => {
        const [, payload, signature] = (await prove()).split('.');
        return `${part({ typ: 'dpop+jwt', jwk: key.publicJwk })}.${payload}.${signature}`;
      },
    ],
    [
      'with alg none',
      async () => {
        const [, payload] = (await prove()).split('.');
        return `${part({ typ: 'dpop+jwt', alg: 'none', jwk: key.publicJwk })}.${payload}.`;
      },
    ],
    [
      'with alg none and some signature',
      async () => {
        const [, payload, signature] = (await prove()).split('.');
        return `${part({ typ: 'dpop+jwt', alg: 'none', jwk: key.publicJwk })}.${payload}.${signature}`;
      },
    ],
    [
      'whose algorithm is in lower case',
      async () => {
        const [, payload, signature] = (await prove()).split('.');
        return `${part({ typ: 'dpop+jwt', alg: 'es256', jwk: key.publicJwk })}.${payload}.${signature}`;
      },
    ],
    [
      'with the public key as the secret of HS256',
      async () => {
        const pem = new TextEncoder().encode(await exportSPKI(PUBLIC));
        return new SignJWT({ htm: 'POST' })
          .setProtectedHeader({ alg: 'HS256', typ: 'dpop+jwt', jwk: key.publicJwk })
          .sign(pem);
      },
    ],
    [
      'with a symmetric key',
      () => {
        const jwk = { kty: 'oct', k: part('secret-secret-secret-secret-secret') };
        return new SignJWT({}).setProtectedHeader({ alg: 'HS256', typ: 'dpop+jwt', jwk }).sign(Buffer.alloc(34, 1));
      },
    ],
    ['without a key', () => prove({}, { jwk: undefined })],
    ['that only names its key', () => prove({}, { jwk: undefined, kid: key.jkt })],
    ['that says where its key is', () => prove({}, { jwk: undefined, jku: 'https://evil.example/jwks' })],
    ['whose key is text', () => prove({}, { jwk: JSON.stringify(key.publicJwk) })],
    ['whose key is a list', () => prove({}, { jwk: [key.publicJwk] })],
    ['whose key is null', () => prove({}, { jwk: null })],
    ['that shows its private key', () => prove({}, { jwk: key.privateJwk })],
    ['whose key has no point', () => prove({}, { jwk: { kty: 'EC', crv: 'P-256' } })],
    ['whose key is not on its curve', () => prove({}, { jwk: { ...key.publicJwk, y: key.publicJwk.x } })],
    ['whose key is for encryption', () => prove({}, { jwk: { ...key.publicJwk, use: 'enc' } })],
    ['whose key is for another algorithm', () => prove({}, { jwk: { ...key.publicJwk, alg: 'ES384' } })],
    ['by another key', () => thief.prove(about)],
    ['that shows the right key and is by another', () => thief.prove(about, {}, { jwk: key.publicJwk })],
    [
      'with a critical extension',
      () =>
        new SignJWT({})
          .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: key.publicJwk, crit: ['x'], x: 1 })
          .sign(key.privateJwk, { crit: { x: true } }),
    ],
    [
      'without claims',
      async () =>
        new CompactSign(Buffer.from('{}'))
          .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: key.publicJwk })
          .sign(await importJWK(key.privateJwk, 'ES256')),
    ],
    [
      'whose payload is a list',
      async () =>
        new CompactSign(Buffer.from('[]'))
          .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: key.publicJwk })
          .sign(await importJWK(key.privateJwk, 'ES256')),
    ],
    ['without its signature', async () => `${(await prove()).split('.').slice(0, 2).join('.')}.`],
    [
      'with a signature of nothing but zeros',
      async () => `${(await prove()).split('.').slice(0, 2).join('.')}.${'A'.repeat(86)}`,
    ],
    ['with a signature in DER', async () => `${(await prove()).split('.').slice(0, 2).join('.')}.${part('0E\u0002 ')}`],
    [
      'with other claims under its signature',
      async () => {
        const [head, , signature] = (await prove()).split('.');
        return `${head}.${(await prove({ htm: 'GET' })).split('.')[1]}.${signature}`;
      },
    ],
    ['for another method', () => prove({ htm: 'GET' })],
    ['for the method in lower case', () => prove({ htm: 'post' })],
    ['for no method', () => prove({ htm: undefined })],
    ['for a list of methods', () => prove({ htm: ['POST'] })],
    ['for another host', () => prove({ htu: 'https://evil.example/mcp/fs' })],
    ['for a host that ends like ours', () => prove({ htu: 'https://xgate.example/mcp/fs' })],
    ['for a host that begins like ours', () => prove({ htu: 'https://gate.example.evil.example/mcp/fs' })],
    ['for us as somebody’s user name', () => prove({ htu: 'https://gate.example@evil.example/mcp/fs' })],
    ['with a user name', () => prove({ htu: 'https://user@gate.example/mcp/fs' })],
    ['for another port', () => prove({ htu: 'https://gate.example:8443/mcp/fs' })],
    ['for another scheme', () => prove({ htu: 'http://gate.example/mcp/fs' })],
    ['for another path', () => prove({ htu: 'https://gate.example/mcp' })],
    ['for a path with a slash more', () => prove({ htu: `${URL_OF_US}/` })],
    ['for a path in other case', () => prove({ htu: 'https://gate.example/MCP/fs' })],
    ['for a path alone', () => prove({ htu: '/mcp/fs' })],
    ['for an opaque address', () => prove({ htu: 'data:,x' })],
    ['for no address', () => prove({ htu: undefined })],
    ['for a list of addresses', () => prove({ htu: [URL_OF_US] })],
    ['without an identifier', () => prove({ jti: undefined })],
    ['with an empty identifier', () => prove({ jti: '' })],
    ['with a number as identifier', () => prove({ jti: 1 })],
    ['with an endless identifier', () => prove({ jti: 'j'.repeat(PROOF_ID_CHARACTERS_MAX + 1) })],
    ['without the time of its making', () => prove({ iat: undefined })],
    ['whose time is text', () => prove({ iat: String(NOW) })],
    ['made a minute and a second ago', () => prove({ iat: NOW - 61 })],
    ['made in the future', () => prove({ iat: NOW + 6 })],
    ['that has expired by its own words', () => prove({ exp: NOW - 1 })],
    ['not valid yet by its own words', () => prove({ nbf: NOW + 30 })],
    ['for another token', () => prove({ ath: part('x'.repeat(32)) })],
    ['for no token', () => prove({ ath: undefined })],
    ['with the token itself in place of its hash', () => prove({ ath: TOKEN })],
  ];

  for (const [what, make] of refused) {
    proves('G4', `${what} is refused`, async () => {
      expect(await checks().check(await make(), subject, NOW * 1000)).toMatchObject({ error: 'invalid_dpop_proof' });
    });
  }

  it('that is refused does not appear in the refusal', async () => {
    const proof = await prove({ htm: 'GET' });
    const verdict = JSON.stringify(await checks().check(proof, subject, NOW * 1000));
    for (const text of proof.split('.')) expect(verdict).not.toContain(text);
  });

  proves('G4', 'is good once', async () => {
    const once = checks();
    const proof = await prove();
    expect(await once.check(proof, subject, NOW * 1000)).toBeUndefined();
    for (const later of [0, 1, 59, 60]) {
      expect(await once.check(proof, subject, (NOW + later) * 1000)).toMatchObject({ error: 'invalid_dpop_proof' });
    }
  });

  proves('G4', 'of many presentations at the same time exactly one is good', async () => {
    const once = checks();
    const proof = await prove();
    const verdicts = await Promise.all(Array.from({ length: 20 }, () => once.check(proof, subject, NOW * 1000)));
    expect(verdicts.filter((verdict) => verdict === undefined)).toHaveLength(1);
  });

  it('that is refused is not spent', async () => {
    const once = checks();
    const proof = await prove();
    expect(await once.check(proof, { ...subject, method: 'GET' }, NOW * 1000)).toHaveProperty('error');
    expect(await once.check(proof, subject, NOW * 1000)).toBeUndefined();
  });

  it('says the same identifier as one of another key, and neither is in the way of the other', async () => {
    const once = checks();
    expect(await once.check(await prove({ jti: 'same' }), subject, NOW * 1000)).toBeUndefined();
    const other = { ...subject, key: thief.jkt };
    expect(await once.check(await thief.prove(about, { jti: 'same' }), other, NOW * 1000)).toBeUndefined();
    expect(await once.check(await prove({ jti: 'same', iat: NOW - 1 }), subject, NOW * 1000)).toHaveProperty('error');
  });

  it.each([
    ['the exact address', {}],
    ['the address with a query and a fragment', { htu: `${URL_OF_US}?a=1#b` }],
    ['the address with the port of its scheme', { htu: 'https://gate.example:443/mcp/fs' }],
    ['the address in capitals', { htu: 'HTTPS://GATE.example/mcp/fs' }],
    ['the address with steps in its path', { htu: 'https://gate.example/mcp/x/../fs' }],
    ['a time a minute ago', { iat: NOW - 60 }],
    ['a time in the tolerance', { iat: NOW + 5 }],
    ['claims that we do not know', { more: { x: 1 } }],
  ])('with %s is good', async (_, claims) => {
    expect(await checks().check(await prove(claims), subject, NOW * 1000)).toBeUndefined();
  });

  it.each(PROOF_ALGORITHMS)('is good by %s', async (alg) => {
    const own = await generateProofKey(alg === 'EdDSA' ? 'Ed25519' : alg);
    const proof = await own.prove(about, {}, { alg: alg === 'EdDSA' ? 'Ed25519' : alg });
    expect(await checks().check(proof, { ...subject, key: own.jkt }, NOW * 1000)).toBeUndefined();
  });

  it('by an RSA key of 1,024 bits is refused', async () => {
    const pair = await crypto.subtle.generateKey(
      { name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
      true,
      ['sign', 'verify'],
    );
    const jwk = await crypto.subtle.exportKey('jwk', pair.publicKey);
    const [, payload] = (await rsa.prove(about)).split('.');
    const head = part({ typ: 'dpop+jwt', alg: 'RS256', jwk: { kty: 'RSA', n: jwk.n, e: jwk.e } });
    const signed = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', pair.privateKey, Buffer.from(`${head}.${payload}`));
    const proof = `${head}.${payload}.${Buffer.from(signed).toString('base64url')}`;
    const jkt = await calculateJwkThumbprint({ kty: 'RSA', n: String(jwk.n), e: String(jwk.e) });
    expect(await checks().check(proof, { ...subject, key: jkt }, NOW * 1000)).toHaveProperty('error');
  });
});

describe('a nonce', () => {
  it.each<[string, Record<string, unknown>]>([
    ['is missing', {}],
    ['is empty', { nonce: '' }],
    ['is not ours', { nonce: 'bm90LW91cnM' }],
    ['is not text', { nonce: 1 }],
    ['is that of another process', { nonce: new ProofNonces(new Uint8Array(32).fill(8)).newest(NOW) }],
    ['is two periods old', { nonce: nonces.newest(NOW - 2 * NONCE_SECONDS) }],
    ['is of the future', { nonce: nonces.newest(NOW + NONCE_SECONDS) }],
  ])('that %s is answered with a new one, and the proof is not spent', async (_, claims) => {
    expect(await checks(true).check(await prove(claims), subject, NOW * 1000)).toMatchObject({
      error: 'use_dpop_nonce',
    });
  });

  it('is checked even where none is required', async () => {
    const verdict = await checks(false).check(await prove({ nonce: 'x' }), subject, NOW * 1000);
    expect(verdict).toMatchObject({ error: 'use_dpop_nonce' });
  });

  it.each([0, NONCE_SECONDS])('of %d seconds ago is good, for as many proofs as one likes', async (age) => {
    const required = checks(true);
    const nonce = nonces.newest(NOW - age);
    for (let count = 0; count < 3; count++) {
      expect(await required.check(await prove({ nonce }), subject, NOW * 1000)).toBeUndefined();
    }
  });

  it('changes', () => {
    expect(nonces.newest(NOW)).not.toBe(nonces.newest(NOW + NONCE_SECONDS));
  });
});

describe('after a restart', () => {
  proves('G4', 'a proof from before is not good, because it may have been used', async () => {
    const proof = await prove({ iat: NOW - 10 });
    expect(await checks(false, NOW - 5).check(proof, subject, NOW * 1000)).toMatchObject({ error: 'use_dpop_nonce' });
  });

  it('a client whose clock is slow gets in with a nonce', async () => {
    const proof = await prove({ iat: NOW - 10, nonce: nonces.newest(NOW) });
    expect(await checks(false, NOW - 5).check(proof, subject, NOW * 1000)).toBeUndefined();
  });
});
