// Everything that a permit can have wrong, one thing at a time: a genuine permit in a good world, bent in exactly the place that one check
// looks at. The mutation test shows that the list is complete.

import { encodeBase64url } from '../../domain/base64url.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { type DenialCode, deny } from '../../domain/denial.ts';
import type { Json } from '../../domain/json.ts';
import { examinePermit, type PermitCheckInput } from '../../proxy/permit-checks.ts';
import {
  AT,
  CALL,
  claimsOf,
  digestOf,
  foreignKey,
  goodPermit,
  goodWorld,
  headerOf,
  inputFor,
  JTI,
  key,
  permitByStranger,
  permitFor,
  permitWith,
  permitWithHeader,
  signTexts,
  type World,
  worldFor,
} from './permits.ts';

export interface PermitCase {
  readonly code: DenialCode;
  readonly sentence: string;
  readonly input: () => Promise<PermitCheckInput>;
}

const OTHER = '01KAJ0000000000000000THER1';
const EXP = Math.floor(AT / 1000) + 15;

type Bend<T> = { -readonly [K in keyof T]: T[K] };

/** A good permit in a world that is bent. */
function world(code: DenialCode, sentence: string, bend: (world: World) => void): PermitCase {
  return {
    code,
    sentence,
    input: () => {
      const bent = goodWorld();
      bend(bent);
      return inputFor(goodPermit(), bent);
    },
  };
}

function live(code: DenialCode, sentence: string, change: Partial<World['live']>): PermitCase {
  return world(code, sentence, (w) => {
    w.live = { ...w.live, ...change };
  });
}

function expected(code: DenialCode, sentence: string, change: Partial<Bend<World['expected']>>): PermitCase {
  return world(code, sentence, (w) => {
    w.expected = { ...w.expected, ...change };
  });
}

/** A bent permit in a good world. */
function permit(code: DenialCode, sentence: string, make: () => string | undefined): PermitCase {
  return { code, sentence, input: () => inputFor(make()) };
}

function claims(code: DenialCode, sentence: string, change: Parameters<typeof permitWith>[0]): PermitCase {
  return permit(code, sentence, () => permitWith(change));
}

function revoked(code: DenialCode, kind: string, id: string): PermitCase {
  return world(code, `refuses a permit whose ${kind} was revoked`, (w) => {
    w.revoked = { has: (k, i) => k === kind && i === id };
  });
}

/** The good permit with its payload written otherwise: the same claims to a lenient reader, genuinely signed. */
function payloadText(change: (text: string) => string): string {
  return signTexts(
    canonicalJson(headerOf(goodPermit()) as Json),
    change(canonicalJson(claimsOf(goodPermit()) as Json)),
  );
}

/** The same signature in another text that a lenient decoder reads alike. */
function looseSignature(): string {
  const [head, body, signature = ''] = goodPermit().split('.');
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  // 64 bytes end in a character of which four bits count for nothing.
  const last = alphabet.charAt(alphabet.indexOf(signature.slice(-1)) | 1);
  return `${head}.${body}.${signature.slice(0, -1)}${last}`;
}

export const PERMIT_CASES: readonly PermitCase[] = [
  live('GOV_STALLED', 'refuses right after the gate stood still', { stalled: true }),
  live('GOV_NOT_READY', 'refuses while the gate is not ready', { ready: false }),
  live('GOV_HALTED', 'refuses while the gate is halted', { halted: true }),
  live('GOV_LEDGER_UNWRITABLE', 'refuses while the ledger cannot be written', { ledgerWritable: false }),
  live('GOV_REVOCATION_STALE', 'refuses while revocations are not fresh', { revocationsFresh: false }),
  live('GOV_CLOCK', 'refuses while the clock cannot be trusted', { clockSane: false }),
  world('GOV_CLOCK', 'refuses when the clock moved 2,001 ms against the monotonic one', (w) => {
    w.ageMs = 20 + 2_001;
  }),
  world('GOV_CLOCK', 'refuses when the clock was set back during the call', (w) => {
    w.now = AT - 240;
    w.ageMs = 4_000;
  }),
  live('GOV_EPOCH_MISMATCH', 'refuses a permit of an older epoch of the policy', { epoch: 8 }),
  live('GOV_EPOCH_MISMATCH', 'refuses a permit of an epoch that has not begun', { epoch: 6 }),
  live('GOV_REVOCATION_BEHIND', 'refuses a permit issued before the newest revocation', { revocation: 4 }),
  world('GOV_REPLAY_CACHE', 'refuses when no more spent permits can be remembered', (w) => {
    w.spent = { ...w.spent, full: () => true };
  }),
  live('GOV_POLICY_MISSING', 'refuses without a policy', { policy: 'missing' }),
  live('GOV_POLICY_INVALID', 'refuses under a policy that is not valid', { policy: 'invalid' }),
  {
    code: 'VERIFIER_FAULT',
    sentence: 'refuses when the verifier throws',
    input: async () => ({
      ...goodWorld(),
      permit: await examinePermit(goodPermit(), () => {
        throw new Error('no arithmetic today');
      }),
    }),
  },
  {
    code: 'VERIFIER_FAULT',
    sentence: 'refuses when the thread pool of the verifier fails',
    input: async () => ({
      ...goodWorld(),
      permit: await examinePermit(goodPermit(), () => Promise.reject(new Error('no threads today'))),
    }),
  },

  permit('PERMIT_MISSING', 'refuses without a permit', () => undefined),
  permit('PERMIT_MISSING', 'refuses an empty permit', () => ''),

  permit('PERMIT_MALFORMED', 'refuses a fourth segment', () => `${goodPermit()}.AA`),
  permit('PERMIT_MALFORMED', 'refuses a full stop at the end', () => `${goodPermit()}.`),
  permit('PERMIT_MALFORMED', 'refuses two segments', () => goodPermit().split('.').slice(0, 2).join('.')),
  permit('PERMIT_MALFORMED', 'refuses an empty payload', () => goodPermit().replace(/\.[^.]+\./, '..')),
  permit('PERMIT_MALFORMED', 'refuses a header in padded base64', () => goodPermit().replace('.', '=.')),
  permit('PERMIT_MALFORMED', 'refuses white space before the permit', () => ` ${goodPermit()}`),
  permit('PERMIT_MALFORMED', 'refuses a header that is not JSON', () => signTexts('{', '{}')),
  permit('PERMIT_MALFORMED', 'refuses a payload with a character of standard base64', () =>
    goodPermit().replace('.', '.+'),
  ),
  permit('PERMIT_MALFORMED', 'refuses a permit longer than we look at', () => `${goodPermit()}${'A'.repeat(65_536)}`),
  permit('PERMIT_MALFORMED', 'refuses the JSON serialisation of a JWS', () => {
    const [head, body, signature] = goodPermit().split('.');
    return JSON.stringify({ protected: head, payload: body, signature });
  }),

  permit('PERMIT_HEADER', 'refuses another alg', () =>
    permitWithHeader((header) => {
      header.alg = 'EdDSA';
    }),
  ),
  permit('PERMIT_HEADER', 'refuses alg none', () =>
    permitWithHeader((header) => {
      header.alg = 'none';
    }),
  ),
  permit('PERMIT_HEADER', 'refuses alg HS256', () =>
    permitWithHeader((header) => {
      header.alg = 'HS256';
    }),
  ),
  permit('PERMIT_HEADER', 'refuses another typ', () =>
    permitWithHeader((header) => {
      header.typ = 'JWT';
    }),
  ),
  permit('PERMIT_HEADER', 'refuses a missing typ', () =>
    permitWithHeader((header) => {
      delete header.typ;
    }),
  ),
  permit('PERMIT_HEADER', 'refuses a key that the permit brings along', () =>
    permitWithHeader((header) => {
      header.jwk = { kty: 'OKP', crv: 'Ed25519', x: encodeBase64url(key.publicKey) };
    }),
  ),
  permit('PERMIT_HEADER', 'refuses crit', () =>
    permitWithHeader((header) => {
      header.crit = ['exp'];
    }),
  ),
  permit('PERMIT_HEADER', 'refuses a member that occurs twice', () => {
    const header = canonicalJson(headerOf(goodPermit()) as Json);
    return signTexts(`{"alg":"none",${header.slice(1)}`, canonicalJson(claimsOf(goodPermit()) as Json));
  }),

  permit('PERMIT_KEY_UNKNOWN', 'refuses a key that may sign other things but not permits', () =>
    permitWith(() => {}, foreignKey),
  ),
  permit('PERMIT_KEY_UNKNOWN', 'refuses the key of a stranger', permitByStranger),

  permit('PERMIT_SIGNATURE', 'refuses other claims under a genuine signature', () => {
    const forged = permitWith((c) => {
      c.cnf.conn = digestOf('connection');
      c.jti = '01KAJ0000000000000000JT002';
    });
    const [head, body] = forged.split('.');
    return `${head}.${body}.${goodPermit().split('.')[2]}`;
  }),
  permit('PERMIT_SIGNATURE', 'refuses a signature by another key under our key id', () => {
    const [head, body] = goodPermit().split('.');
    return `${head}.${body}.${encodeBase64url(foreignKey.sign(Buffer.from(`${head}.${body}`)))}`;
  }),
  permit('PERMIT_SIGNATURE', 'refuses a genuine signature in a second text', looseSignature),
  permit('PERMIT_SIGNATURE', 'refuses a genuine signature with a byte more', () => `${goodPermit()}AA`),
  permit('PERMIT_SIGNATURE', 'refuses a signature of zeros', () => goodPermit().replace(/[^.]+$/, 'A'.repeat(86))),

  permit('PERMIT_CLAIMS', 'refuses a payload that is not JSON', () => payloadText((text) => text.slice(1))),
  permit('PERMIT_CLAIMS', 'refuses a payload that is a list', () => payloadText((text) => `[${text}]`)),
  permit('PERMIT_CLAIMS', 'refuses a claim that occurs twice', () =>
    payloadText((text) => text.replace('{', '{"sub":"admin",')),
  ),
  permit('PERMIT_CLAIMS', 'refuses white space in the payload', () => payloadText((text) => `${text} `)),
  permit('PERMIT_CLAIMS', 'refuses a number written otherwise', () =>
    payloadText((text) => text.replace(/"ver":42/, '"ver":42.0')),
  ),
  permit('PERMIT_CLAIMS', 'refuses a byte order mark', () => payloadText((text) => `\uFEFF${text}`)),
  permit('PERMIT_CLAIMS', 'refuses a prototype among the claims', () =>
    payloadText((text) => text.replace(/}$/, ',"__proto__":{}}')),
  ),
  claims('PERMIT_CLAIMS', 'refuses a claim that we do not know', (c) => {
    c.admin = true;
  }),
  claims('PERMIT_CLAIMS', 'refuses a list of audiences, even of one', (c) => {
    c.aud = [c.aud];
  }),
  claims('PERMIT_CLAIMS', 'refuses a permit that never expires', (c) => {
    delete c.exp;
  }),
  claims('PERMIT_CLAIMS', 'refuses a time as text', (c) => {
    c.exp = String(c.exp);
  }),
  claims('PERMIT_CLAIMS', 'refuses two calls in one permit', (c) => {
    const details = c.authorization_details as unknown[];
    details.push(details[0]);
  }),
  claims('PERMIT_CLAIMS', 'refuses an unknown member of the details', (c) => {
    c.authorization_details[0].anyArguments = true;
  }),
  claims('PERMIT_CLAIMS', 'refuses the default method written out', (c) => {
    c.authorization_details[0].method = 'tools/call';
  }),
  claims('PERMIT_CLAIMS', 'refuses a method that is not governed', (c) => {
    Object.assign(c.authorization_details[0], { method: 'ping', tool: 'ping' });
  }),
  claims('PERMIT_CLAIMS', 'refuses a method with another target than itself', (c) => {
    c.authorization_details[0].method = 'resources/read';
  }),
  claims('PERMIT_CLAIMS', 'refuses a limit of nothing', (c) => {
    c.authorization_details[0].limits.timeoutMs = 0;
  }),
  claims('PERMIT_CLAIMS', 'refuses an environment without an attestation', (c) => {
    delete c.env.att;
  }),
  expected('PERMIT_ISSUER', 'refuses a permit of another issuer', { issuer: 'urn:portcullis:other' }),

  world('PERMIT_EXPIRED', 'refuses a permit in the millisecond in which it expires', (w) => {
    w.now = EXP * 1000;
    w.ageMs = EXP * 1000 - AT;
  }),
  world('PERMIT_EXPIRED', 'refuses a permit that has outlived its window by the monotonic clock', (w) => {
    w.now = EXP * 1000 - 1;
    w.ageMs = 15_000;
  }),
  world('PERMIT_NOT_YET_VALID', 'refuses a permit of the next second', (w) => {
    w.now = Math.floor(AT / 1000) * 1000 - 1;
    w.ageMs = 0;
  }),
  claims('PERMIT_NOT_YET_VALID', 'refuses a permit issued now for later', (c) => {
    c.nbf = Number(c.nbf) + 5;
  }),
  claims('PERMIT_NOT_YET_VALID', 'refuses a permit issued in the future', (c) => {
    c.iat = Number(c.iat) + 1;
  }),
  claims('PERMIT_WINDOW_TOO_LONG', 'refuses a window a second longer than this gate allows', (c) => {
    c.exp = Number(c.exp) + 1;
  }),
  {
    code: 'PERMIT_WINDOW_TOO_LONG',
    sentence: 'refuses a window longer than 60 s whatever this gate allows',
    input: () => {
      const w = goodWorld();
      w.expected = { ...w.expected, lifetimeSecondsMax: 3_600 };
      return inputFor(
        permitWith((c) => {
          c.exp = Number(c.iat) + 61;
        }),
        w,
      );
    },
  },

  revoked('REVOKED_JTI', 'jti', JTI),
  revoked('REVOKED_ROOT', 'root', CALL),
  revoked('REVOKED_NODE', 'node', CALL),
  revoked('REVOKED_AGENT', 'agent', 'coder'),
  revoked('REVOKED_SERVER', 'server', 'fs'),
  revoked('REVOKED_TOOL', 'tool', 'fs/write_file'),
  {
    code: 'REVOKED_TOOL',
    sentence: 'refuses a permit for a method that was revoked',
    input: () =>
      inputFor(permitFor('resources/read', 'resources/read'), {
        ...worldFor('resources/read', 'resources/read'),
        revoked: { has: (kind, id) => kind === 'tool' && id === 'fs:resources/read' },
      }),
  },
  revoked('REVOKED_POLICY', 'policy', digestOf('policy')),
  revoked('REVOKED_KEY', 'key', key.kid),
  revoked('REVOKED_APPROVAL', 'approval', digestOf('approval')),

  world('PERMIT_REPLAYED', 'refuses a permit that has burnt', (w) => {
    w.spent = { ...w.spent, has: (jti, exp) => jti === JTI && exp === EXP };
  }),

  expected('ID_GATEWAY', 'refuses a permit for another gate', { audience: 'urn:portcullis:test:gw2' }),
  live('ID_GATEWAY', 'refuses a permit of before the restart', { boot: OTHER }),
  expected('ID_INITIATOR', 'refuses a permit for another agent', { agent: 'reviewer' }),
  expected('ID_CONNECTION', 'refuses a permit for another connection', { connection: digestOf('other connection') }),
  expected('ID_PROOF_KEY', 'refuses a permit without the proof key that the initiator used', { proofKey: key.kid }),
  claims('ID_PROOF_KEY', 'refuses a permit bound to a proof key that was not used', (c) => {
    c.cnf.jkt = key.kid;
  }),

  expected('ENV_UNKNOWN', 'refuses while the attestation of the server is not known', { attestation: undefined }),
  expected('ENV_UNKNOWN', 'refuses while the server is looked at again', {
    attestation: deny('ENV_UNKNOWN', 'looking'),
  }),
  expected('ENV_ATTESTATION', 'refuses when the environment of the server is another', {
    attestation: deny('ENV_ATTESTATION', 'a file changed'),
  }),
  expected('ENV_UNKNOWN', 'refuses while the definition of the tool is not known', { definition: undefined }),
  expected('ENV_ATTESTATION', 'refuses when the server is another', { attestation: digestOf('other server') }),
  expected('ENV_TOOL_DEFINITION', 'refuses when the definition of the tool is another', {
    definition: digestOf('rug pull'),
  }),

  expected('POLICY_DIGEST', 'refuses a permit under other rules', { policy: digestOf('other rules') }),
  expected('POLICY_DIGEST', 'refuses a permit under another version of the same rules', { policyVersion: 43 }),
  expected('INTENT_TARGET', 'refuses a permit for another server', { server: 'fs2' }),
  {
    code: 'INTENT_TARGET',
    sentence: 'refuses a permit for a method where a tool of that name is called',
    input: () => inputFor(permitFor('resources/read', 'resources/read'), worldFor('tools/call', 'resources/read')),
  },
  {
    code: 'INTENT_TARGET',
    sentence: 'refuses a permit for a tool where the method of that name is asked',
    input: () => inputFor(permitFor('tools/call', 'resources/read'), worldFor('resources/read', 'resources/read')),
  },
  expected('INTENT_TARGET', 'refuses a permit for another tool', { tool: 'read_file' }),
  expected('INTENT_ARGUMENTS', 'refuses a permit for other arguments', { args: digestOf('other arguments') }),
  expected('INTENT_REQUEST', 'refuses a permit for another request', { req: digestOf('other request') }),
  expected('SCOPE_LIMITS', 'refuses a permit for a millisecond more', {
    limitsMax: { timeoutMs: 4_999, outputBytes: 65_536 },
  }),
  expected('SCOPE_LIMITS', 'refuses a permit for a byte more', {
    limitsMax: { timeoutMs: 5_000, outputBytes: 65_535 },
  }),
  expected('SCOPE_LIMITS', 'refuses an obligation that nobody here can meet', { obligations: new Set<string>() }),

  claims('LINEAGE_CONTINUITY', 'refuses another chain of calls', (c) => {
    c.txn = OTHER;
  }),
  claims('LINEAGE_CONTINUITY', 'refuses another root', (c) => {
    c.lin.root = OTHER;
  }),
  claims('LINEAGE_CONTINUITY', 'refuses the permit of another call', (c) => {
    c.lin.node = OTHER;
  }),
  claims('LINEAGE_CONTINUITY', 'refuses a parent that the call does not have', (c) => {
    c.lin.parent = OTHER;
  }),
  claims('LINEAGE_CONTINUITY', 'refuses another depth', (c) => {
    c.lin.depth = 1;
  }),
  claims('LINEAGE_CONTINUITY', 'refuses another chain of digests', (c) => {
    c.lin.chain = digestOf('other chain');
  }),
];
