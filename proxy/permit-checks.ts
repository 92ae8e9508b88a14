// The ten checks of a permit, from zero, in one fixed order and each on its own: nothing that decided is trusted again here. Checking does
// not burn a permit and does not open the door: see spent-permits.ts and gate.ts.
// Everything is synchronous over one input except the arithmetic of the signature, which comes first (`examinePermit`) and may run on
// another thread. So no answer of `checkPermit` mixes two moments of the live state.

import type { CallLimits } from '../control-plane/authorization.ts';
import type { RevocationKind } from '../control-plane/permits/revocations.ts';
import { actionId } from '../domain/action.ts';
import { Defect } from '../domain/defect.ts';
import { DENIALS, type Denial, type DenialCategory, type DenialCode, deny } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import type { Lineage } from '../domain/lineage.ts';
import { PERMIT_LIFETIME_SECONDS_MAX, type PermitClaims, permitMethod } from '../domain/permit.ts';
import { type PermitText, readPermitText } from '../domain/permit-text.ts';

/** How far the wall clock may move against the monotonic one during a call. */
export const CLOCK_DRIFT_MS_MAX = 2_000;

/**
 * Whether a key made the signature: the strict rules of RFC 8032 and a key of the strict profile. False for a key that it does not know.
 * A promise means that the arithmetic runs elsewhere.
 */
export type VerifySignature = (
  kid: string,
  signingInput: Uint8Array,
  signature: Uint8Array,
) => boolean | Promise<boolean>;

/** The permit taken apart and the verdict on its signature. */
export interface ExaminedPermit {
  /** Absent where no permit came. */
  readonly text?: PermitText;
  /** True only where the signature was found good. */
  readonly genuine: boolean;
  /** Why the signature could not be judged. */
  readonly fault?: string;
}

/** The live state of governance, read in the same tick as it is used. */
export interface LiveGovernance {
  /** The gate stood still a moment ago, and what waited meanwhile has not been heard yet. */
  readonly stalled: boolean;
  readonly ready: boolean;
  readonly halted: boolean;
  readonly ledgerWritable: boolean;
  readonly revocationsFresh: boolean;
  readonly clockSane: boolean;
  readonly policy: 'installed' | 'missing' | 'invalid';
  readonly epoch: number;
  readonly revocation: number;
  readonly boot: string;
}

/** What a permit must say to be one for this call, from the call as it was captured and the world as it is now. */
export interface ExpectedPermit {
  readonly issuer: string;
  readonly audience: string;
  /** Ids of the keys that may sign permits. */
  readonly keys: { has(kid: string): boolean };
  readonly lifetimeSecondsMax: number;
  /** When the call was captured, milliseconds since 1970. */
  readonly at: number;
  readonly agent: string;
  readonly connection: Digest;
  /** Thumbprint of the key whose possession the initiator proved for this request. */
  readonly proofKey?: string;
  readonly method: string;
  readonly server: string;
  /** The name of the tool for `tools/call`, the method itself for every other method. */
  readonly tool: string;
  readonly args: Digest;
  readonly req: Digest;
  /** As it is now, or why it cannot be relied on; undefined while it is not known. */
  readonly attestation: Digest | Denial | undefined;
  /** As it is now; undefined while it is not known. */
  readonly definition: Digest | undefined;
  readonly policy: Digest;
  readonly policyVersion: number;
  readonly limitsMax: CallLimits;
  /** The obligations that this gate knows how to meet. */
  readonly obligations: { has(obligation: string): boolean };
  readonly lineage: Lineage;
  /** `chainLink(...)` of the call. */
  readonly chain: Digest;
}

export interface PermitCheckInput {
  readonly permit: ExaminedPermit;
  readonly live: LiveGovernance;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Milliseconds since the call was captured, by the monotonic clock. */
  readonly ageMs?: number;
  readonly expected: ExpectedPermit;
  readonly revoked: { has(kind: RevocationKind, id: string): boolean };
  readonly spent: { has(jti: string, exp: number): boolean; full(nowMs: number): boolean };
}

/** A permit that passed every check at one moment, for one call. */
export interface VerifiedClaims {
  readonly claims: PermitClaims;
  readonly kid: string;
}

export interface PermitCheck {
  /** Unique; the code, and what is compared where several checks share one. */
  readonly name: string;
  readonly code: DenialCode;
  readonly category: DenialCategory;
  readonly check: (input: PermitCheckInput) => Denial | undefined;
}

/** Takes a permit apart and has its signature judged. Never throws and never rejects: a verifier that fails is a finding of its own. */
export async function examinePermit(permit: string | undefined, verify: VerifySignature): Promise<ExaminedPermit> {
  if (permit === undefined || permit === '') return { genuine: false };
  let text: PermitText | undefined;
  try {
    text = readPermitText(permit);
    const { kid, signingInput, signature } = text;
    return { text, genuine: signature !== undefined && (await verify(kid, signingInput, signature)) === true };
  } catch (error) {
    return { ...(text === undefined ? {} : { text }), genuine: false, fault: String(error) };
  }
}

/**
 * Returns the claims, or the first denial in the order of `PERMIT_CHECKS`. Any exception is VERIFIER_FAULT. Valid for the moment of the
 * call only: nothing may be awaited between it and what relies on it.
 */
export function checkPermit(
  input: PermitCheckInput,
  checks: readonly PermitCheck[] = PERMIT_CHECKS,
): Denial | VerifiedClaims {
  try {
    for (const { check } of checks) {
      const denial = check(input);
      if (denial !== undefined) return denial;
    }
    return { claims: claimsOf(input), kid: textOf(input).kid };
  } catch (error) {
    return deny('VERIFIER_FAULT', String(error));
  }
}

/** A check on the live state, before the permit is looked at. `wrong` says whether to refuse, or why. */
function live(
  code: DenialCode,
  compared: string,
  wrong: (input: PermitCheckInput) => boolean | string | undefined,
): PermitCheck {
  return {
    name: `${code}: ${compared}`,
    code,
    category: DENIALS[code].category,
    check: (input) => {
      const finding = wrong(input);
      if (finding === undefined || finding === false) return undefined;
      return deny(code, finding === true ? compared : finding);
    },
  };
}

/** A check on the permit as text. */
function text(
  code: DenialCode,
  compared: string,
  wrong: (text: PermitText, input: PermitCheckInput) => boolean | string | undefined,
): PermitCheck {
  return live(code, compared, (input) => wrong(textOf(input), input));
}

/** A check on what the permit says. Written so that what is not comparable is refused. */
function claim(
  code: DenialCode,
  compared: string,
  wrong: (claims: PermitClaims, expected: ExpectedPermit, input: PermitCheckInput) => boolean,
): PermitCheck {
  return live(code, compared, (input) => wrong(claimsOf(input), input.expected, input));
}

function revoked(
  code: DenialCode,
  kind: RevocationKind,
  ids: (input: PermitCheckInput) => readonly string[],
): PermitCheck {
  return live(code, `revocations of kind ${kind}`, (input) =>
    ids(input).some((id) => input.revoked.has(kind, id) !== false),
  );
}

function textOf({ permit }: PermitCheckInput): PermitText {
  if (permit.text === undefined) throw new Defect('a permit that did not come was looked at');
  return permit.text;
}

function claimsOf(input: PermitCheckInput): PermitClaims {
  const { claims } = textOf(input).payload();
  if (claims === undefined) throw new Defect('a permit without claims was looked at');
  return claims;
}

/** The claims where they are authentic: row 0 compares them before the permit itself has been judged, and must not listen to a forger. */
function authenticClaimsOf({ permit }: PermitCheckInput): PermitClaims | undefined {
  if (!permit.genuine) return undefined;
  const payload = permit.text?.payload();
  return payload?.problem === undefined ? payload?.claims : undefined;
}

const details = (claims: PermitClaims) => claims.authorization_details[0];

/** Every check, in the order in which they are made: by category, and within a category by the number of the code. */
export const PERMIT_CHECKS: readonly PermitCheck[] = [
  // 0. Governance state failure.
  live('GOV_STALLED', 'event loop', ({ live }) => live.stalled !== false),
  live('GOV_NOT_READY', 'readiness', ({ live }) => live.ready !== true),
  live('GOV_HALTED', 'halt', ({ live }) => live.halted !== false),
  live('GOV_LEDGER_UNWRITABLE', 'ledger', ({ live }) => live.ledgerWritable !== true),
  live('GOV_REVOCATION_STALE', 'freshness of revocations', ({ live }) => live.revocationsFresh !== true),
  live('GOV_CLOCK', 'clock', ({ live, now }) => live.clockSane !== true || !Number.isFinite(now)),
  live('GOV_CLOCK', 'drift of the clock since the call was captured', ({ ageMs, now, expected }) => {
    return ageMs !== undefined && !(Math.abs(now - expected.at - ageMs) <= CLOCK_DRIFT_MS_MAX);
  }),
  live('GOV_EPOCH_MISMATCH', 'epoch', (input) => {
    const claims = authenticClaimsOf(input);
    return claims !== undefined && claims.gov.epoch !== input.live.epoch;
  }),
  live('GOV_REVOCATION_BEHIND', 'number of the newest revocation', (input) => {
    const claims = authenticClaimsOf(input);
    return claims !== undefined && claims.gov.rev !== input.live.revocation;
  }),
  live('GOV_REPLAY_CACHE', 'room among spent permits', ({ spent, now }) => spent.full(now) !== false),
  live('GOV_POLICY_MISSING', 'presence of a policy', ({ live }) => live.policy === 'missing'),
  live(
    'GOV_POLICY_INVALID',
    'validity of the policy',
    ({ live }) => live.policy !== 'installed' && live.policy !== 'missing',
  ),
  live('VERIFIER_FAULT', 'verdict on the signature', ({ permit }) => permit.fault),
  // 1. No authorization artifact.
  live('PERMIT_MISSING', 'presence of the permit', ({ permit }) => permit.text === undefined),
  // 2. Invalid signature.
  text('PERMIT_MALFORMED', 'segments', ({ formProblem }) => formProblem),
  text('PERMIT_HEADER', 'header', ({ headerProblem }) => headerProblem),
  text('PERMIT_KEY_UNKNOWN', 'kid', ({ kid }, { expected }) => expected.keys.has(kid) !== true),
  live('PERMIT_SIGNATURE', 'signature', ({ permit }) => permit.genuine !== true),
  text('PERMIT_CLAIMS', 'claims', ({ payload }) => payload().problem),
  claim('PERMIT_ISSUER', 'iss', (claims, expected) => claims.iss !== expected.issuer),
  // 3. Expired window.
  claim('PERMIT_EXPIRED', 'exp', (claims, _, { now }) => !(now < claims.exp * 1000)),
  claim('PERMIT_EXPIRED', 'age by the monotonic clock', (claims, _, { ageMs }) => {
    return ageMs !== undefined && !(ageMs < (claims.exp - claims.iat) * 1000);
  }),
  claim('PERMIT_NOT_YET_VALID', 'nbf', (claims, _, { now }) => !(now >= claims.nbf * 1000)),
  claim('PERMIT_NOT_YET_VALID', 'iat', (claims, _, { now }) => !(now >= claims.iat * 1000)),
  claim('PERMIT_WINDOW_TOO_LONG', 'exp − iat', (claims, { lifetimeSecondsMax }) => {
    const longest = Math.min(lifetimeSecondsMax, PERMIT_LIFETIME_SECONDS_MAX);
    return !(claims.exp - Math.min(claims.iat, claims.nbf) <= longest);
  }),
  // 4. Revoked.
  revoked('REVOKED_JTI', 'jti', (input) => [claimsOf(input).jti]),
  revoked('REVOKED_ROOT', 'root', (input) => [claimsOf(input).txn]),
  revoked('REVOKED_NODE', 'node', (input) => [claimsOf(input).lin.node]),
  revoked('REVOKED_AGENT', 'agent', (input) => [claimsOf(input).sub]),
  revoked('REVOKED_SERVER', 'server', (input) => [details(claimsOf(input)).server]),
  revoked('REVOKED_TOOL', 'tool', (input) => {
    const { server, tool, ...rest } = details(claimsOf(input));
    return [actionId(permitMethod(rest), server, tool)];
  }),
  revoked('REVOKED_POLICY', 'policy', (input) => [claimsOf(input).pol.dig]),
  revoked('REVOKED_KEY', 'key', (input) => [textOf(input).kid]),
  revoked('REVOKED_APPROVAL', 'approval', (input) => claimsOf(input).pol.appr),
  // 5. Replay.
  claim('PERMIT_REPLAYED', 'jti', (claims, _, { spent }) => spent.has(claims.jti, claims.exp) !== false),
  // 6. Runtime identity inconsistency.
  claim('ID_GATEWAY', 'aud', (claims, expected) => claims.aud !== expected.audience),
  claim('ID_GATEWAY', 'boot', (claims, _, { live }) => claims.gov.boot !== live.boot),
  claim('ID_INITIATOR', 'sub', (claims, expected) => claims.sub !== expected.agent),
  claim('ID_CONNECTION', 'cnf.conn', (claims, expected) => claims.cnf.conn !== expected.connection),
  claim('ID_PROOF_KEY', 'cnf.jkt', (claims, expected) => claims.cnf.jkt !== expected.proofKey),
  // 7. Environment integrity failure.
  live('ENV_UNKNOWN', 'attestation of the server', ({ expected: { attestation } }) => {
    if (attestation === undefined || typeof attestation === 'string') return attestation === undefined;
    return attestation.code !== 'ENV_ATTESTATION' && (attestation.detail ?? true);
  }),
  live('ENV_UNKNOWN', 'definition of the tool', ({ expected }) => expected.definition === undefined),
  live('ENV_ATTESTATION', 'env.att', (input) => {
    const { attestation } = input.expected;
    if (typeof attestation === 'object') return attestation.detail ?? true;
    return claimsOf(input).env.att !== attestation;
  }),
  claim('ENV_TOOL_DEFINITION', 'env.tool', ({ env }, expected) => env.tool !== expected.definition),
  // 8. Policy mismatch.
  claim('POLICY_DIGEST', 'pol.dig', (claims, expected) => claims.pol.dig !== expected.policy),
  claim('POLICY_DIGEST', 'pol.ver', (claims, expected) => claims.pol.ver !== expected.policyVersion),
  claim('INTENT_TARGET', 'method', (claims, expected) => permitMethod(details(claims)) !== expected.method),
  claim('INTENT_TARGET', 'server', (claims, expected) => details(claims).server !== expected.server),
  claim('INTENT_TARGET', 'tool', (claims, expected) => details(claims).tool !== expected.tool),
  claim('INTENT_ARGUMENTS', 'args', (claims, expected) => details(claims).args !== expected.args),
  claim('INTENT_REQUEST', 'req', (claims, expected) => details(claims).req !== expected.req),
  claim('SCOPE_LIMITS', 'timeoutMs', (claims, { limitsMax }) => {
    return !(details(claims).limits.timeoutMs <= limitsMax.timeoutMs);
  }),
  claim('SCOPE_LIMITS', 'outputBytes', (claims, { limitsMax }) => {
    return !(details(claims).limits.outputBytes <= limitsMax.outputBytes);
  }),
  // An obligation that nobody here can meet would be a limit that nobody keeps.
  claim('SCOPE_LIMITS', 'obligations', (claims, { obligations }) => {
    return !details(claims).obligations.every((obligation) => obligations.has(obligation) === true);
  }),
  // 9. Lineage discontinuity.
  claim('LINEAGE_CONTINUITY', 'txn', (claims, { lineage }) => claims.txn !== lineage.root),
  claim('LINEAGE_CONTINUITY', 'root', (claims, { lineage }) => claims.lin.root !== lineage.root),
  claim('LINEAGE_CONTINUITY', 'node', (claims, { lineage }) => claims.lin.node !== lineage.node),
  claim('LINEAGE_CONTINUITY', 'parent', (claims, { lineage }) => claims.lin.parent !== lineage.parent),
  claim('LINEAGE_CONTINUITY', 'depth', (claims, { lineage }) => claims.lin.depth !== lineage.depth),
  claim('LINEAGE_CONTINUITY', 'chain', (claims, expected) => claims.lin.chain !== expected.chain),
];
