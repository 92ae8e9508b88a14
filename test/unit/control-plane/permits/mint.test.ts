import { describe, expect, it } from 'vitest';
import { mintPermit, permitWindow } from '../../../../control-plane/permits/mint.ts';
import { canonicalJson } from '../../../../domain/canonical-json.ts';
import { Defect } from '../../../../domain/defect.ts';
import type { Json } from '../../../../domain/json.ts';
import { permitClaimsProblem } from '../../../../domain/permit.ts';
import {
  BOOT,
  CALL,
  claimsOf,
  decision,
  digestOf,
  goodPermit,
  headerOf,
  issuer,
  JTI,
  key,
  permitFor,
  request,
  signer,
} from '../../../support/permits.ts';

describe('mintPermit', () => {
  it.each([0, 1_999, 61_000, Number.NaN, Number.POSITIVE_INFINITY, -5_000])('refuses to mint for %d ms', (ttlMs) => {
    expect(() => mintPermit(request, decision, { ...issuer, ttlMs }, signer, JTI)).toThrow(Defect);
  });

  it('refuses to mint for a call that is not a root', () => {
    const child = { ...request, lineage: { ...request.lineage, parent: CALL, depth: 1 } };
    expect(() => mintPermit(child, decision, issuer, signer, JTI)).toThrow(Defect);
  });

  it('refuses to mint for a method that is asked of a tool', () => {
    expect(() => mintPermit({ ...request, method: 'resources/read' }, decision, issuer, signer, JTI)).toThrow(Defect);
  });

  it('refuses to mint what has no canonical form', () => {
    expect(() => mintPermit({ ...request, tool: '\ud800' }, decision, issuer, signer, JTI)).toThrow(Defect);
  });

  it('writes exactly the header of the specification', () => {
    expect(headerOf(goodPermit())).toEqual({ alg: 'Ed25519', kid: key.kid, typ: 'portcullis-permit+jwt' });
  });

  it('writes exactly the claims of the specification, in canonical form', () => {
    const claims = claimsOf(goodPermit());
    expect(claims).toEqual({
      iss: 'urn:portcullis:test',
      aud: 'urn:portcullis:test:gw',
      sub: 'coder',
      jti: JTI,
      iat: 1_795_250_000,
      nbf: 1_795_250_000,
      exp: 1_795_250_015,
      txn: CALL,
      cnf: { conn: digestOf('connection') },
      authorization_details: [
        {
          type: 'portcullis_tool_call',
          server: 'fs',
          tool: 'write_file',
          args: digestOf('arguments'),
          req: digestOf('request'),
          limits: { timeoutMs: 5_000, outputBytes: 65_536 },
          obligations: ['redact'],
        },
      ],
      env: { att: digestOf('attestation'), tool: digestOf('definition') },
      pol: { dig: digestOf('policy'), ver: 42, by: ['fs-write-workspace'], appr: [digestOf('approval')] },
      gov: { epoch: 7, rev: 3, boot: BOOT },
      lin: {
        root: CALL,
        node: CALL,
        parent: null,
        depth: 0,
        chain: digestOf(`["coder","fs","write_file","${digestOf('arguments')}"]`),
      },
    });
    expect(permitClaimsProblem(claims as Json)).toBeUndefined();
    const payload = Buffer.from(goodPermit().split('.')[1] ?? '', 'base64url').toString();
    expect(payload).toBe(canonicalJson(claims as Json));
  });

  it('names the method where it is not tools/call', () => {
    const claims = claimsOf(permitFor('resources/read', 'resources/read'));
    expect(claims.authorization_details).toMatchObject([{ method: 'resources/read', tool: 'resources/read' }]);
    expect(permitClaimsProblem(claims as Json)).toBeUndefined();
  });

  it('binds the permit to the key that the initiator proved', () => {
    const principal = { ...request.principal, proofKey: key.kid };
    const claims = claimsOf(mintPermit({ ...request, principal }, decision, issuer, signer, JTI));
    expect(claims.cnf).toEqual({ conn: digestOf('connection'), jkt: key.kid });
    expect(permitClaimsProblem(claims as Json)).toBeUndefined();
  });

  it('is a function of its arguments', () => {
    expect(goodPermit()).toBe(goodPermit());
  });
});

describe('permitWindow', () => {
  it.each([
    [1_000_000, 15_000, 1_000, 1_015],
    [1_000_999, 15_000, 1_000, 1_015],
    [1_000_999, 2_999, 1_000, 1_002],
    [1_000_001, 60_999, 1_000, 1_060],
  ])('of a request at %d ms with %d ms never ends later than was asked for', (at, ttlMs, iat, exp) => {
    const window = permitWindow(at, ttlMs);
    expect(window).toEqual({ iat, nbf: iat, exp });
    expect(window.exp * 1000).toBeLessThanOrEqual(at + ttlMs);
    expect(window.exp * 1000).toBeGreaterThan(at);
  });
});
