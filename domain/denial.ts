// Every reason for which a request may not pass: one closed table in the order in which we check.
// Codes and numbers are pinned (test/pins): they are never renamed, renumbered or reused. Adding one means a row here, a test, and a
// line in docs/denials.md.

/** The ten reasons of the fail-closed model, and `invalid_request` for what is not a well-formed call at all. */
export type DenialCategory =
  | 'invalid_request'
  | 'governance_state'
  | 'no_artifact'
  | 'invalid_signature'
  | 'expired'
  | 'revoked'
  | 'replay'
  | 'runtime_identity'
  | 'environment_integrity'
  | 'policy_mismatch'
  | 'lineage_discontinuity';

/** The moment of a call's life at which a row can occur first. */
export type DenialStage = 'message' | 'requested' | 'authorized' | 'verified' | 'executing' | 'any';

export interface DenialRow {
  readonly number: number;
  readonly stage: DenialStage;
  readonly category: DenialCategory;
  /** What the client is told. It names no rule, path, key or other principal. */
  readonly told: string;
  /** Whether the same request may pass later without anybody changing a rule. */
  readonly retry: boolean;
}

function row(number: number, stage: DenialStage, category: DenialCategory, told: string, retry = false): DenialRow {
  return { number, stage, category, told, retry };
}

export const DENIALS = {
  // The message is not one we carry.
  MESSAGE_MALFORMED: row(1, 'message', 'invalid_request', 'the message is not valid JSON-RPC'),
  MESSAGE_TOO_LARGE: row(2, 'message', 'invalid_request', 'the message is larger than this gate accepts'),
  MESSAGE_BATCH: row(3, 'message', 'invalid_request', 'batches are not part of this protocol revision'),
  MESSAGE_DIRECTION: row(4, 'message', 'invalid_request', 'the message travels in the wrong direction'),
  METHOD_UNKNOWN: row(5, 'message', 'invalid_request', 'the method is not known'),
  METHOD_NOT_SERVED: row(6, 'message', 'invalid_request', 'the method is not served by this gate'),
  META_RESERVED: row(7, 'message', 'invalid_request', 'the message uses a _meta key reserved for this gate'),
  OVERLOADED: row(8, 'message', 'governance_state', 'too many calls are in flight', true),
  TOOL_UNKNOWN: row(9, 'requested', 'policy_mismatch', 'the tool is not known'),
  ARG_INVALID: row(10, 'requested', 'policy_mismatch', 'the arguments do not fit the schema of the tool'),
  ARG_NOT_REPRESENTABLE: row(11, 'requested', 'policy_mismatch', 'an argument cannot be represented for the policy'),
  NOT_INITIALIZED: row(13, 'message', 'invalid_request', 'the conversation has not been initialized'),
  HEADER_MISMATCH: row(14, 'message', 'invalid_request', 'the headers do not say what the message says'),
  REQUEST_STATE_INVALID: row(15, 'message', 'invalid_request', 'the state of the request is not valid for it'),
  FACT_UNAVAILABLE: row(12, 'requested', 'policy_mismatch', 'a fact that the policy needs cannot be established'),

  // 0: governance state failure. Live state, read when it is needed and never taken from a token.
  GOV_NOT_READY: row(20, 'any', 'governance_state', 'the gate is not ready', true),
  GOV_HALTED: row(21, 'any', 'governance_state', 'the gate is shut', true),
  GOV_LEDGER_UNWRITABLE: row(22, 'any', 'governance_state', 'the gate is shut: its ledger cannot be written', true),
  GOV_REVOCATION_STALE: row(
    23,
    'any',
    'governance_state',
    'the gate is shut: its revocations are not up to date',
    true,
  ),
  GOV_CLOCK: row(24, 'any', 'governance_state', 'the gate is shut: its clock cannot be trusted', true),
  GOV_STALLED: row(19, 'any', 'governance_state', 'the gate is shut: it stood still for too long', true),
  GOV_EPOCH_MISMATCH: row(25, 'authorized', 'governance_state', 'the rules changed while the call was decided', true),
  GOV_REVOCATION_BEHIND: row(
    26,
    'authorized',
    'governance_state',
    'a revocation arrived while the call was decided',
    true,
  ),
  GOV_REPLAY_CACHE: row(27, 'authorized', 'governance_state', 'too many permits are outstanding', true),
  GOV_POLICY_MISSING: row(28, 'requested', 'governance_state', 'no policy is installed, so every call is denied'),
  GOV_POLICY_INVALID: row(29, 'requested', 'governance_state', 'the policy is not valid, so every call is denied'),
  VERIFIER_FAULT: row(30, 'any', 'governance_state', 'the call could not be verified', true),
  // 1: no authorization artifact.
  PERMIT_MISSING: row(31, 'authorized', 'no_artifact', 'the call has no permit'),
  // 2: invalid signature.
  PERMIT_MALFORMED: row(32, 'authorized', 'invalid_signature', 'the permit is malformed'),
  PERMIT_HEADER: row(33, 'authorized', 'invalid_signature', 'the permit is malformed'),
  PERMIT_KEY_UNKNOWN: row(34, 'authorized', 'invalid_signature', 'the permit is not signed by a known key'),
  PERMIT_SIGNATURE: row(35, 'authorized', 'invalid_signature', 'the signature of the permit is not valid'),
  PERMIT_CLAIMS: row(36, 'authorized', 'invalid_signature', 'the permit is malformed'),
  PERMIT_ISSUER: row(37, 'authorized', 'invalid_signature', 'the permit was issued elsewhere'),
  // 3: expired authorization window.
  PERMIT_EXPIRED: row(38, 'authorized', 'expired', 'the permit has expired', true),
  PERMIT_NOT_YET_VALID: row(39, 'authorized', 'expired', 'the permit is not valid yet'),
  PERMIT_WINDOW_TOO_LONG: row(40, 'authorized', 'expired', 'the permit is valid for too long'),
  // 4: revoked authorization.
  REVOKED_JTI: row(41, 'authorized', 'revoked', 'the permit was revoked'),
  REVOKED_ROOT: row(42, 'authorized', 'revoked', 'the chain of this call was revoked'),
  REVOKED_NODE: row(43, 'authorized', 'revoked', 'the call was revoked'),
  REVOKED_AGENT: row(44, 'authorized', 'revoked', 'the agent was revoked'),
  REVOKED_SERVER: row(45, 'authorized', 'revoked', 'the server was revoked'),
  REVOKED_TOOL: row(46, 'authorized', 'revoked', 'the tool was revoked'),
  REVOKED_POLICY: row(47, 'authorized', 'revoked', 'the policy was revoked'),
  REVOKED_KEY: row(48, 'authorized', 'revoked', 'the key of the permit was revoked'),
  REVOKED_APPROVAL: row(49, 'authorized', 'revoked', 'the approval was revoked'),
  // 5: replay.
  PERMIT_REPLAYED: row(50, 'authorized', 'replay', 'the permit was used before'),
  // 6: runtime identity inconsistency.
  ID_UNAUTHENTICATED: row(51, 'message', 'runtime_identity', 'the connection is not authenticated'),
  ID_GATEWAY: row(52, 'authorized', 'runtime_identity', 'the permit is for another gate'),
  ID_INITIATOR: row(53, 'authorized', 'runtime_identity', 'the permit is for another agent'),
  ID_CONNECTION: row(54, 'authorized', 'runtime_identity', 'the permit is for another connection'),
  ID_PROOF_KEY: row(55, 'authorized', 'runtime_identity', 'the permit is bound to another key'),
  AGENT_QUARANTINED: row(56, 'requested', 'runtime_identity', 'the agent was set aside'),
  // 7: environment integrity failure.
  ENV_UNKNOWN: row(60, 'authorized', 'environment_integrity', 'the state of the server is not known', true),
  ENV_ATTESTATION: row(61, 'authorized', 'environment_integrity', 'the server is not the one that was permitted'),
  ENV_TOOL_DEFINITION: row(62, 'authorized', 'environment_integrity', 'the definition of the tool has changed'),
  SERVER_UNAVAILABLE: row(63, 'requested', 'environment_integrity', 'the server is not available', true),
  CLIENT_CANNOT_BE_ASKED: row(64, 'requested', 'environment_integrity', 'the client cannot be asked'),
  SERVER_UNAPPROVED: row(65, 'requested', 'environment_integrity', 'the server has not been approved yet', true),
  SERVER_QUARANTINED: row(66, 'any', 'environment_integrity', 'the server was set aside'),
  ENV_TLS_PIN: row(67, 'any', 'environment_integrity', 'the key of the server is not the pinned one'),
  SANDBOX_MISSING: row(
    68,
    'requested',
    'environment_integrity',
    'the server needs a sandbox that this machine does not have',
  ),
  // 8: policy mismatch.
  POLICY_NO_PERMIT: row(70, 'requested', 'policy_mismatch', 'no rule allows this call'),
  POLICY_FORBID: row(71, 'requested', 'policy_mismatch', 'a rule forbids this call'),
  POLICY_ERROR: row(72, 'requested', 'policy_mismatch', 'the rules could not be evaluated for this call'),
  POLICY_ENGINE_FAULT: row(73, 'requested', 'policy_mismatch', 'the policy engine does not answer', true),
  POLICY_DIGEST: row(74, 'authorized', 'policy_mismatch', 'the permit was issued under other rules'),
  INTENT_TARGET: row(75, 'authorized', 'policy_mismatch', 'the permit is for another tool'),
  INTENT_ARGUMENTS: row(76, 'authorized', 'policy_mismatch', 'the permit is for other arguments'),
  INTENT_REQUEST: row(77, 'authorized', 'policy_mismatch', 'the permit is for another request'),
  SCOPE_LIMITS: row(78, 'authorized', 'policy_mismatch', 'the permit grants more than this gate allows'),
  RETRY_OF_UNKNOWN: row(79, 'requested', 'replay', 'the same call may have run before; a person has to look first'),
  // 9: lineage discontinuity.
  LINEAGE_MISSING: row(80, 'requested', 'lineage_discontinuity', 'the call does not say which call it belongs to'),
  LINEAGE_NOT_ROOT: row(81, 'requested', 'lineage_discontinuity', 'this agent may not start a chain of calls'),
  LINEAGE_CONTINUITY: row(82, 'authorized', 'lineage_discontinuity', 'the permit belongs to another chain of calls'),
  LINEAGE_TOKEN: row(83, 'requested', 'lineage_discontinuity', 'the lineage token is not valid'),
  LINEAGE_ISSUER_UNTRUSTED: row(84, 'requested', 'lineage_discontinuity', 'the lineage token was issued elsewhere'),
  LINEAGE_AUDIENCE: row(85, 'requested', 'lineage_discontinuity', 'the lineage token is for another gate'),
  LINEAGE_BEARER: row(86, 'requested', 'lineage_discontinuity', 'the lineage token was given to somebody else'),
  LINEAGE_UNKNOWN_PARENT: row(
    87,
    'requested',
    'lineage_discontinuity',
    'the call that this one belongs to is not known',
  ),
  LINEAGE_PARENT_NOT_EXECUTING: row(
    88,
    'requested',
    'lineage_discontinuity',
    'the call that this one belongs to is not running',
  ),
  LINEAGE_AMBIGUOUS: row(89, 'requested', 'lineage_discontinuity', 'it cannot be told which call this one belongs to'),
  LINEAGE_MIXED_ROOTS: row(
    110,
    'requested',
    'lineage_discontinuity',
    'the calling process works for more than one chain of calls',
  ),
  LINEAGE_REVOKED: row(111, 'requested', 'lineage_discontinuity', 'this call or one above it was revoked'),
  LINEAGE_EXPIRED: row(112, 'requested', 'lineage_discontinuity', 'the time of a call above this one is over'),
  LINEAGE_PEER_STALE: row(
    113,
    'requested',
    'lineage_discontinuity',
    'the gate that issued the lineage token is silent',
    true,
  ),
  LINEAGE_DEPTH: row(114, 'requested', 'lineage_discontinuity', 'the chain of calls is too long'),
  LINEAGE_CYCLE: row(115, 'requested', 'lineage_discontinuity', 'the call is in its own chain already'),
  LINEAGE_FANOUT: row(116, 'requested', 'lineage_discontinuity', 'the call above this one has made too many calls'),
  LINEAGE_TREE: row(117, 'requested', 'lineage_discontinuity', 'the chain has too many calls in all'),
  LINEAGE_SCOPE: row(118, 'requested', 'lineage_discontinuity', 'the chain of calls does not give this authority'),
  LINEAGE_SCOPE_WIDENING: row(
    119,
    'requested',
    'lineage_discontinuity',
    'a call cannot give more authority than it has',
  ),
  LINEAGE_MISMATCH: row(
    121,
    'message',
    'lineage_discontinuity',
    'the message and its header show different lineage tokens',
  ),
  LINEAGE_ROUND: row(122, 'requested', 'lineage_discontinuity', 'the call that this one goes on with stood elsewhere'),
  LINEAGE_PARENT_ENDED: row(120, 'any', 'lineage_discontinuity', 'the call that this one belongs to has ended'),

  // After the intent. The tool may have run; the client is denied its result.
  CANCELLED: row(90, 'any', 'invalid_request', 'the call was cancelled'),
  DEADLINE_EXCEEDED: row(91, 'any', 'expired', 'the call took too long', true),
  TOOL_LOST: row(
    92,
    'executing',
    'environment_integrity',
    'the server stopped before it answered; the call may have run',
  ),
  OUTPUT_INVALID: row(93, 'executing', 'environment_integrity', 'the answer of the tool is not valid'),
  OUTPUT_TOO_LARGE: row(94, 'executing', 'environment_integrity', 'the answer of the tool is larger than allowed'),
  OUTPUT_UNSUPPORTED: row(
    95,
    'executing',
    'environment_integrity',
    'the tool asked for something this gate does not carry',
  ),
  TOOL_SILENT: row(99, 'executing', 'expired', 'the tool showed no progress for too long', true),
  PERMIT_SPENT: row(96, 'executing', 'replay', 'the permit was used before'),
  CRASH_INDETERMINATE: row(97, 'executing', 'governance_state', 'the gate stopped during the call; it may have run'),
  AUTHORITY_WITHDRAWN: row(98, 'executing', 'revoked', 'the authority for this call was withdrawn while it ran'),
} as const satisfies Record<string, DenialRow>;

export type DenialCode = keyof typeof DENIALS;

/** A refusal as a value. `detail` is for the ledger and the operator; the client never sees it. */
export interface Denial {
  readonly code: DenialCode;
  readonly detail?: string;
}

export function deny(code: DenialCode, detail?: string): Denial {
  return detail === undefined ? { code } : { code, detail };
}

/** The JSON-RPC error code of a denial: MCP reserves −32768…−32000, so ours lie outside. */
export function rpcCode(code: DenialCode): number {
  return 40_300 + DENIALS[code].number;
}
