// A permit that passes, the input that it passes with, and the means to bend either.

import { generateSigningKey, type SigningKey, sha256, Verifier } from '../../adapters/crypto/node-crypto.ts';
import type { AuthorizationRequest } from '../../control-plane/authorization.ts';
import { mintPermit, type PermitDecision, type PermitIssuer, permitSigner } from '../../control-plane/permits/mint.ts';
import { encodeBase64url } from '../../domain/base64url.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Json } from '../../domain/json.ts';
import { chainLink } from '../../domain/lineage.ts';
import { permitAudience, permitIssuer } from '../../domain/permit.ts';
import { examinePermit, type PermitCheckInput } from '../../proxy/permit-checks.ts';

export const AT = 1_795_250_000_250;
export const NOW = AT + 20;
export const CALL = '01KAJ0000000000000000CA001';
export const BOOT = '01KAJ0000000000000000B0001';
export const JTI = '01KAJ0000000000000000JT001';

export function digestOf(text: string): Digest {
  return `sha256:${encodeBase64url(sha256(Buffer.from(text)))}`;
}

export const request: AuthorizationRequest = {
  call: CALL,
  at: AT,
  principal: {
    agent: 'coder',
    roles: ['developer'],
    root: true,
    authentication: 'local',
    connection: digestOf('connection'),
  },
  method: 'tools/call',
  server: 'fs',
  tool: 'write_file',
  argumentsJson: '{"content":"hello","path":"/w/a.txt"}',
  args: digestOf('arguments'),
  req: digestOf('request'),
  definition: digestOf('definition'),
  attestation: digestOf('attestation'),
  lineage: { root: CALL, node: CALL, parent: null, depth: 0 },
  governance: { state: 'normal', epoch: 7, revocation: 3, boot: BOOT },
  limits: { timeoutMs: 30_000, outputBytes: 1_048_576 },
};

export const decision: PermitDecision = {
  policy: digestOf('policy'),
  version: 42,
  by: ['fs-write-workspace'],
  approvals: [digestOf('approval')],
  obligations: ['redact'],
  limits: { timeoutMs: 5_000, outputBytes: 65_536 },
};

export const issuer: PermitIssuer = { instance: 'test', gateway: 'gw', ttlMs: 15_000 };

export const key: SigningKey = generateSigningKey();
/** Known to the verifier, but not one that may sign permits. */
export const foreignKey: SigningKey = generateSigningKey();
const strangerKey: SigningKey = generateSigningKey();

export const verifier = new Verifier();
verifier.register(key.publicKey);
verifier.register(foreignKey.publicKey);

export const signer = permitSigner(key.kid, key.sign, sha256);

export function goodPermit(): string {
  return mintPermit(request, decision, issuer, signer, JTI);
}

/** The permit and the world of the same arguments asked of the server by another method. */
export function permitFor(method: string, tool: string): string {
  return mintPermit({ ...request, method, tool }, decision, issuer, signer, JTI);
}

export function worldFor(method: string, tool: string): World {
  const world = goodWorld();
  const chain = chainLink(sha256, undefined, { agent: 'coder', server: 'fs', tool, args: request.args });
  return { ...world, expected: { ...world.expected, method, tool, chain } };
}

type Members = Record<string, unknown>;

/** The claims without their types: tests write into them what does not belong there. */
type Claims = Members & {
  cnf: Members;
  authorization_details: [Members & { limits: Members }];
  env: Members;
  pol: Members;
  gov: Members;
  lin: Members;
};

function part(permit: string, index: number): Members {
  return JSON.parse(Buffer.from(permit.split('.')[index] ?? '', 'base64url').toString()) as Members;
}

export function headerOf(permit: string): Members {
  return part(permit, 0);
}

export function claimsOf(permit: string): Members {
  return part(permit, 1);
}

/** Signs any two texts as if they were the header and the payload of a permit. */
export function signTexts(header: string, payload: string, by: SigningKey = key): string {
  const input = `${encodeBase64url(Buffer.from(header))}.${encodeBase64url(Buffer.from(payload))}`;
  return `${input}.${encodeBase64url(by.sign(Buffer.from(input)))}`;
}

/** The good permit with other claims, genuinely signed. */
export function permitWith(change: (claims: Claims) => void, by: SigningKey = key): string {
  const claims = claimsOf(goodPermit());
  change(claims as unknown as Claims);
  return signTexts(
    canonicalJson({ ...headerOf(goodPermit()), kid: by.kid } as Json),
    canonicalJson(claims as Json),
    by,
  );
}

/** The good permit with another header, genuinely signed. */
export function permitWithHeader(change: (header: Members) => void): string {
  const header = headerOf(goodPermit());
  change(header);
  return signTexts(JSON.stringify(header), canonicalJson(claimsOf(goodPermit()) as Json));
}

export function permitByStranger(): string {
  return permitWith(() => {}, strangerKey);
}

/** What `checkPermit` gets besides the permit; every part can be replaced. */
export interface World {
  live: PermitCheckInput['live'];
  expected: PermitCheckInput['expected'];
  now: number;
  ageMs?: number;
  revoked: PermitCheckInput['revoked'];
  spent: PermitCheckInput['spent'];
}

export function goodWorld(): World {
  return {
    now: NOW,
    ageMs: NOW - AT,
    live: {
      stalled: false,
      ready: true,
      halted: false,
      ledgerWritable: true,
      revocationsFresh: true,
      clockSane: true,
      policy: 'installed',
      epoch: 7,
      revocation: 3,
      boot: BOOT,
    },
    expected: {
      issuer: permitIssuer('test'),
      audience: permitAudience('test', 'gw'),
      keys: new Set([key.kid]),
      lifetimeSecondsMax: 15,
      at: AT,
      agent: 'coder',
      connection: request.principal.connection,
      method: 'tools/call',
      server: 'fs',
      tool: 'write_file',
      args: request.args,
      req: request.req,
      attestation: request.attestation,
      definition: request.definition,
      policy: decision.policy,
      policyVersion: 42,
      limitsMax: request.limits,
      obligations: new Set(['redact']),
      lineage: request.lineage,
      chain: chainLink(sha256, undefined, { agent: 'coder', server: 'fs', tool: 'write_file', args: request.args }),
    },
    revoked: { has: () => false },
    spent: { has: () => false, full: () => false },
  };
}

export async function inputFor(permit: string | undefined, world: World = goodWorld()): Promise<PermitCheckInput> {
  return { ...world, permit: await examinePermit(permit, verifier.verify) };
}
