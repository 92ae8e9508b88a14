import { readFileSync } from 'node:fs';
import { CompactSign, compactVerify, importPKCS8, importSPKI, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { publicKeyToPem, Verifier } from '../../adapters/crypto/node-crypto.ts';
import { checkPermit, examinePermit } from '../../proxy/permit-checks.ts';
import { proves } from '../guarantees.ts';
import { AT, claimsOf, goodPermit, goodWorld, inputFor, key, permitWith } from '../support/permits.ts';
import { vectors } from '../support/vectors.ts';

const publicKey = () => importSPKI(publicKeyToPem(key.publicKey), 'Ed25519');

describe('jose', () => {
  it('refuses a permit of ours with other claims', async () => {
    const [head, , signature] = goodPermit().split('.');
    const body = permitWith((claims) => {
      claims.sub = 'admin';
    }).split('.')[1];
    await expect(compactVerify(`${head}.${body}.${signature}`, await publicKey())).rejects.toThrow();
  });

  it('verifies a permit of ours, with all that a JWT library checks', async () => {
    const { payload, protectedHeader } = await jwtVerify(goodPermit(), await publicKey(), {
      algorithms: ['Ed25519'],
      typ: 'portcullis-permit+jwt',
      issuer: 'urn:portcullis:test',
      audience: 'urn:portcullis:test:gw',
      subject: 'coder',
      currentDate: new Date(AT),
      maxTokenAge: 60,
    });
    expect(payload).toEqual(claimsOf(goodPermit()));
    expect(protectedHeader.kid).toBe(key.kid);
  });

  it('writes a permit that we accept, byte for byte ours', async () => {
    const payload = Buffer.from(goodPermit().split('.')[1] ?? '', 'base64url');
    const permit = await new CompactSign(payload)
      .setProtectedHeader({ alg: 'Ed25519', kid: key.kid, typ: 'portcullis-permit+jwt' })
      .sign(await importPKCS8(key.exportPem(), 'Ed25519'));
    expect(permit).toBe(goodPermit());
    expect(checkPermit(await inputFor(permit))).toMatchObject({ kid: key.kid });
  });
});

interface Wycheproof {
  readonly testGroups: readonly {
    readonly public?: { readonly kid?: string };
    readonly tests: readonly { readonly tcId: number; readonly jws: unknown; readonly result: string }[];
  }[];
}

describe('the JWS vectors of Wycheproof', () => {
  const file = vectors('jose/wycheproof/json_web_signature_test.json');
  const absent = file === undefined ? ' (shared vectors are not here)' : '';

  if (file === undefined) it.skip(`none passes for a permit${absent}`, () => {});
  else {
    const suite = JSON.parse(readFileSync(file, 'utf8')) as Wycheproof;
    const all = suite.testGroups.flatMap(({ tests }) => tests);
    const texts = all.map(({ jws }) => (typeof jws === 'string' ? jws : JSON.stringify(jws)));

    proves('G1', 'none of them passes for a permit, even with a verifier that believes every signature', async () => {
      expect(texts).toHaveLength(401);
      for (const text of texts) {
        for (const verify of [new Verifier().verify, () => true]) {
          const world = goodWorld();
          const permit = await examinePermit(text, verify);
          const trusting = { ...world, expected: { ...world.expected, keys: { has: () => true } } };
          expect(checkPermit({ ...trusting, permit })).toHaveProperty('code');
        }
      }
    });

    proves('G1', 'the signature of none of them is found good by our keys', async () => {
      for (const text of texts) expect((await examinePermit(text, new Verifier().verify)).genuine).toBe(false);
    });
  }
});

describe('the Ed25519 example of the JOSE cookbook (RFC 8037)', () => {
  const file = vectors('jose/ietf-cookbook/curve25519/jws.json');

  it.skipIf(file === undefined)(
    `is signed alike and verifies${file === undefined ? ' (shared vectors are not here)' : ''}`,
    async () => {
      const { input, output } = JSON.parse(readFileSync(file ?? '', 'utf8')) as {
        input: { key: { x: string; d: string; kty: 'OKP'; crv: string } };
        output: { compact: string };
      };
      const verifier = new Verifier();
      const kid = verifier.register(Buffer.from(input.key.x, 'base64url')) ?? '';
      const [head, body, signature = ''] = output.compact.split('.');
      const good = verifier.verify(kid, Buffer.from(`${head}.${body}`), Buffer.from(signature, 'base64url'));
      expect(good).toBe(true);
      // It is not a permit all the same: another alg, no typ, no claims.
      const examined = await examinePermit(output.compact, () => true);
      expect(checkPermit({ ...goodWorld(), permit: examined })).toMatchObject({ code: 'PERMIT_HEADER' });
    },
  );
});
