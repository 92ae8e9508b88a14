import { describe, expect, it } from 'vitest';
import { generateSigningKey, sha256, Verifier } from '../../../../adapters/crypto/node-crypto.ts';
import { GENUINE_TOKENS_MAX, GenuineTokens } from '../../../../control-plane/lineage/genuine-tokens.ts';
import {
  type Bearer,
  checkLineageToken,
  mintLineageToken,
  type TokenReader,
} from '../../../../control-plane/lineage/token.ts';
import { canonicalJson } from '../../../../domain/canonical-json.ts';
import type { Json } from '../../../../domain/json.ts';
import type { LineageTokenClaims } from '../../../../domain/lineage-token.ts';
import { proves } from '../../../guarantees.ts';
import { digestOf } from '../../../support/permits.ts';

const key = generateSigningKey();
const peerKey = generateSigningKey();
const stranger = generateSigningKey();
const verifier = new Verifier();
for (const { publicKey } of [key, peerKey, stranger]) verifier.register(publicKey);
const SELF = 'urn:portcullis:a';
const PEER = 'urn:portcullis:b';
const KEYS: Record<string, string> = { [SELF]: key.kid, [PEER]: peerKey.kid };
const NOW = 1_795_250_000_000;
const THUMBPRINT = 'x'.repeat(43);

const reader: TokenReader = {
  audience: () => 'urn:portcullis:a:gw',
  verify: (issuer, kid, input, signature) =>
    KEYS[issuer] === undefined ? undefined : KEYS[issuer] === kid && verifier.verify(kid, input, signature),
  sha256,
  now: NOW,
  clockDriftMs: (issuer) => (issuer === PEER ? 2_000 : 0),
};
const bearer: Bearer = { agent: 'reviewer', connection: digestOf('connection') };

const claims: LineageTokenClaims = {
  iss: SELF,
  sub: 'reviewer',
  aud: ['urn:portcullis:a:gw'],
  iat: NOW / 1_000,
  exp: NOW / 1_000 + 30,
  jti: '01KAJ0000000000000000JT001',
  lin: {
    root: '01KAJ0000000000000000CA001',
    node: '01KAJ0000000000000000CA002',
    depth: 1,
    chain: digestOf('chain'),
    servers: ['review'],
    agents: ['planner'],
  },
  scp: [[{ server: 'fs', actions: ['read'] }]],
  cnf: { conn: digestOf('connection') },
};

function mint(more: object = {}, by = key): string {
  return (
    mintLineageToken({ ...claims, ...more } as LineageTokenClaims, { kid: by.kid, sign: by.sign, sha256 })?.token ?? ''
  );
}

const check = (token: string, by = bearer, to = reader) => checkLineageToken(token, to, by);
const code = (token: string, by = bearer, to = reader): string | undefined => {
  const checked = check(token, by, to);
  return 'code' in checked ? checked.code : undefined;
};

/** A token with some text in place of a segment, signed anew if asked for. */
function bent(segment: number, text: string, resign = false): string {
  const parts = mint().split('.');
  parts[segment] = Buffer.from(text).toString('base64url');
  if (resign) parts[2] = Buffer.from(key.sign(Buffer.from(`${parts[0]}.${parts[1]}`))).toString('base64url');
  return parts.join('.');
}

it('a lineage token that is no token is told from one that is badly signed', () => {
  expect(check(`${mint()}${'x'.repeat(8_192)}`)).toMatchObject({ detail: 'the token is too long' });
  expect(check(mint({}, stranger))).toMatchObject({ detail: 'the signature is not valid' });
});

describe('a lineage token is refused', () => {
  it.each<[string, string, string]>([
    ['that is empty', '', 'LINEAGE_TOKEN'],
    ['of two segments', 'e30.e30', 'LINEAGE_TOKEN'],
    ['of four segments, of which three are one', `${mint()}.e30`, 'LINEAGE_TOKEN'],
    ['that is too long', `${mint()}${'x'.repeat(8_192)}`, 'LINEAGE_TOKEN'],
    [
      'of another type',
      bent(0, canonicalJson({ alg: 'Ed25519', kid: key.kid, typ: 'portcullis-permit+jwt' }), true),
      'LINEAGE_TOKEN',
    ],
    ['without a signature', mint().replace(/[^.]*$/, ''), 'LINEAGE_TOKEN'],
    [
      'with alg none',
      bent(0, canonicalJson({ alg: 'none', kid: key.kid, typ: 'portcullis-lineage+jwt' }), true),
      'LINEAGE_TOKEN',
    ],
    [
      'with a further header member',
      bent(0, canonicalJson({ alg: 'Ed25519', jku: 'x', kid: key.kid, typ: 'portcullis-lineage+jwt' }), true),
      'LINEAGE_TOKEN',
    ],
    [
      'with claims that were changed',
      bent(1, canonicalJson({ ...claims, sub: 'planner' } as unknown as Json)),
      'LINEAGE_TOKEN',
    ],
    ['with claims that are not canonical', bent(1, JSON.stringify(claims), true), 'LINEAGE_TOKEN'],
    [
      'with a member twice',
      bent(1, canonicalJson(claims as unknown as Json).replace('{', '{"aud":["x"],'), true),
      'LINEAGE_TOKEN',
    ],
    ['by nobody we know', mint({ iss: 'urn:portcullis:c' }), 'LINEAGE_ISSUER_UNTRUSTED'],
    ['by somebody in the name of another', mint({ iss: PEER }), 'LINEAGE_TOKEN'],
    ['by a stranger in our name', mint({}, stranger), 'LINEAGE_TOKEN'],
    ['with a claim more', mint({ admin: true }), 'LINEAGE_TOKEN'],
    ['with a claim less', mint({ jti: '' }), 'LINEAGE_TOKEN'],
    ['with a member more within', mint({ lin: { ...claims.lin, step: 'x' } }), 'LINEAGE_TOKEN'],
    ['without an audience', mint({ aud: [] }), 'LINEAGE_TOKEN'],
    ['for another gate', mint({ aud: ['urn:portcullis:b:gw'] }), 'LINEAGE_AUDIENCE'],
    ['from the future', mint({ iat: claims.iat + 1 }), 'LINEAGE_TOKEN'],
    ['that is over', mint({ exp: claims.iat }), 'LINEAGE_EXPIRED'],
    ['of another agent', mint({ sub: 'planner' }), 'LINEAGE_BEARER'],
    ['of another connection', mint({ cnf: { conn: digestOf('other') } }), 'LINEAGE_BEARER'],
    ['bound to a key that nobody proves', mint({ cnf: { jkt: THUMBPRINT } }), 'LINEAGE_BEARER'],
    ['bound to nothing', mint({ cnf: {} }), 'LINEAGE_TOKEN'],
    ['bound to two things', mint({ cnf: { conn: digestOf('connection'), jkt: THUMBPRINT } }), 'LINEAGE_TOKEN'],
    ['with a scope that is none', mint({ scp: [[{ server: 'fs' }]] }), 'LINEAGE_TOKEN'],
    ['with a scope that is no list', mint({ scp: ['*'] }), 'LINEAGE_TOKEN'],
  ])('%s', (_, token, refusal) => {
    expect(code(token)).toBe(refusal);
  });

  it('wherever one character of it is another', () => {
    const token = mint();
    for (let at = 0; at < token.length; at += 7) {
      const other = token[at] === 'A' ? 'B' : 'A';
      if (token[at] !== '.') expect(code(token.slice(0, at) + other + token.slice(at + 1)), `${at}`).toBeDefined();
    }
  });
});

describe('a lineage token holds', () => {
  it('for the agent and the credential that it is bound to, with what it says and the digest of its text', () => {
    const token = mint();
    expect(check(token)).toEqual({ claims, scopes: claims.scp, digest: digestOf(token) });
  });

  it('for the key that it is bound to, whatever the connection', () => {
    const token = mint({ cnf: { jkt: THUMBPRINT } });
    expect(code(token, { ...bearer, connection: digestOf('other'), proofKey: THUMBPRINT })).toBeUndefined();
  });

  it('although the clock of a peer differs a little', () => {
    const early = mint({ iss: PEER, iat: claims.iat + 2 }, peerKey);
    expect(code(early)).toBeUndefined();
    expect(code(mint({ iss: PEER, iat: claims.iat + 3 }, peerKey))).toBe('LINEAGE_TOKEN');
    expect(code(mint({ iss: PEER, exp: claims.iat - 1 }, peerKey))).toBeUndefined();
    expect(code(mint({ iss: PEER, exp: claims.iat - 2 }, peerKey))).toBe('LINEAGE_EXPIRED');
  });

  it('is not made where it would be too long to be read', () => {
    const scp = Array.from({ length: 16 }, () => [{ server: 'fs', actions: ['x'.repeat(500)] }]);
    expect(mint({ scp })).toBe('');
  });
});

describe('a text whose signature was found good', () => {
  const asked: string[] = [];
  const remembering = (): TokenReader => ({
    ...reader,
    genuine: new GenuineTokens(),
    verify: (issuer, ...rest) => {
      asked.push(issuer);
      return reader.verify(issuer, ...rest);
    },
  });

  proves('G11', 'is looked at again in everything but that, and every other text in that too', () => {
    const to = remembering();
    const token = mint();
    const [head, , signature] = token.split('.');
    const wider = `${head}.${mint({ scp: [] }).split('.')[1]}.${signature}`;
    expect(code(wider, bearer, to)).toBe('LINEAGE_TOKEN');
    expect([code(token, bearer, to), code(token, bearer, to)]).toEqual([undefined, undefined]);
    expect(asked.splice(0)).toEqual([SELF, SELF]);
    expect(code(token, { ...bearer, agent: 'other' }, to)).toBe('LINEAGE_BEARER');
    expect(code(token, { ...bearer, connection: digestOf('x') }, to)).toBe('LINEAGE_BEARER');
    expect(code(token, bearer, { ...to, now: NOW + 60_000 })).toBe('LINEAGE_EXPIRED');
    expect(code(token, bearer, { ...to, audience: () => 'urn:portcullis:c' })).toBe('LINEAGE_AUDIENCE');
    expect(asked).toEqual([]);
    expect(code(wider, bearer, to)).toBe('LINEAGE_TOKEN');
    expect(asked.splice(0)).toEqual([SELF]);
  });

  it('is forgotten when there are too many', () => {
    const genuine = new GenuineTokens();
    const nth = (n: number) => digestOf(String(n));
    for (let n = 0; n <= GENUINE_TOKENS_MAX; n += 1) genuine.add(nth(n));
    expect([genuine.has(nth(0)), genuine.has(nth(1)), genuine.has(nth(GENUINE_TOKENS_MAX))]).toEqual([
      false,
      true,
      true,
    ]);
  });
});
