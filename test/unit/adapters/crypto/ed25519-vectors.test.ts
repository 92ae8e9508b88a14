import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as noble from '../../../../adapters/crypto/noble.ts';
import * as node from '../../../../adapters/crypto/node-crypto.ts';
import { vectors } from '../../../support/vectors.ts';

interface Wycheproof {
  readonly testGroups: readonly {
    readonly publicKey: { readonly pk: string };
    readonly tests: readonly {
      readonly tcId: number;
      readonly msg: string;
      readonly sig: string;
      readonly result: string;
    }[];
  }[];
}

interface Cctv {
  readonly number: number;
  readonly key: string;
  readonly sig: string;
  readonly msg: string;
}

const folder = vectors('ed25519');
const absent = folder === undefined ? ' (shared vectors are not here)' : '';
const hex = (text: string) => Buffer.from(text, 'hex');
const read = (path: string) => readFileSync(`${folder}/${path}`, 'utf8');

const adapters = [
  { name: 'node:crypto', verify: node.verifyEd25519 },
  { name: 'noble', verify: noble.verifyEd25519 },
];

describe.each(adapters)('Ed25519 by $name', ({ verify }) => {
  it('never throws, whatever the lengths', () => {
    for (const length of [0, 31, 33, 63, 65]) {
      const odd = new Uint8Array(length);
      expect(verify(odd, odd, new Uint8Array(64))).toBe(false);
      expect(verify(new Uint8Array(32), odd, odd)).toBe(false);
    }
  });

  it.skipIf(folder === undefined)(`agrees with all 151 vectors of Wycheproof${absent}`, () => {
    const suite = JSON.parse(read('wycheproof/ed25519_test.json')) as Wycheproof;
    const wrong: number[] = [];
    let count = 0;
    for (const { publicKey, tests } of suite.testGroups) {
      for (const { tcId, msg, sig, result } of tests) {
        count += 1;
        if (verify(hex(publicKey.pk), hex(msg), hex(sig)) !== (result === 'valid')) wrong.push(tcId);
      }
    }
    expect([count, wrong]).toEqual([151, []]);
  });
});

describe('the authors’ own vectors', () => {
  it.skipIf(folder === undefined)(`are signed alike, byte for byte, and verify by both adapters${absent}`, () => {
    const lines = read('djb-sign-input/sign.input').trim().split('\n');
    expect(lines).toHaveLength(1_024);
    lines.forEach((line, index) => {
      const [secret = '', publicKey = '', message = '', signed = ''] = line.split(':');
      const pem = `-----BEGIN PRIVATE KEY-----\n${Buffer.concat([hex('302e020100300506032b657004220420'), hex(secret.slice(0, 64))]).toString('base64')}\n-----END PRIVATE KEY-----\n`;
      const key = node.importSigningKey(pem);
      expect(Buffer.from(key?.publicKey ?? []).toString('hex')).toBe(publicKey);
      const signature = key?.sign(hex(message)) ?? new Uint8Array();
      expect(Buffer.from(signature).toString('hex')).toBe(signed.slice(0, 128));
      expect(node.verifyEd25519(hex(publicKey), hex(message), signature)).toBe(true);
      // The slow one sees every eighth.
      if (index % 8 === 0) expect(noble.verifyEd25519(hex(publicKey), hex(message), signature)).toBe(true);
    });
  });
});

describe('the strict profile', () => {
  it.skipIf(folder === undefined)(`makes both adapters agree on every vector of CCTV${absent}`, () => {
    const all = JSON.parse(read('cctv/ed25519vectors.json')) as Cctv[];
    expect(all).toHaveLength(914);
    const inside = all.filter(({ key }) => noble.isStrictPublicKey(hex(key)));
    const disagreements = inside.filter(({ key, sig, msg }) => {
      const message = Buffer.from(msg);
      return node.verifyEd25519(hex(key), message, hex(sig)) !== noble.verifyEd25519(hex(key), message, hex(sig));
    });
    expect(inside.length).toBeGreaterThan(0);
    expect(disagreements.map(({ number }) => number)).toEqual([]);
  });

  it.each([
    ['the identity', `01${'00'.repeat(31)}`],
    ['a point of order two', `ec${'ff'.repeat(30)}7f`],
    ['a point of order four', '00'.repeat(32)],
    ['a point of order eight', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'],
    ['the identity, not canonical', `ee${'ff'.repeat(30)}7f`],
    ['a field element that is not reduced', `ed${'ff'.repeat(30)}7f`],
    ['bytes that are no point', `02${'00'.repeat(31)}`],
    ['31 bytes', '00'.repeat(31)],
  ])('does not take %s for a public key', (_, text) => {
    expect(noble.isStrictPublicKey(hex(text))).toBe(false);
    expect(new node.Verifier().register(hex(text))).toBeUndefined();
  });

  it('does not take a key with a component of small order', async () => {
    const { Point } = await import('@noble/ed25519');
    const order8 = Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05');
    const mixed = Point.fromBytes(node.generateSigningKey().publicKey).add(order8).toBytes();
    expect(noble.isStrictPublicKey(mixed)).toBe(false);
  });

  it('takes every key that we generate', () => {
    for (let count = 0; count < 20; count++) {
      expect(noble.isStrictPublicKey(node.generateSigningKey().publicKey)).toBe(true);
    }
  });
});
