// The gate: the one file to believe. A tool is reached through here and nowhere else, in steps that cannot be reordered or skipped:
//
//   verify(permit, call)     → VerifiedPermit   the ten checks, from zero, against live state; burns the permit
//   record(verified, intent) → RecordedCall     the intent is durable in the ledger
//   execute(recorded)        → ToolRun          redeems once; re-checks and hands over the bytes in the same tick
//
// VerifiedPermit and RecordedCall cannot be made by hand: they are empty frozen objects whose meaning lies in this gate's private maps. A
// cast, a copy, a clone, a Proxy or a value of another gate means nothing here.
//
// It does not decide whether a call should be allowed: that is the control plane's. It holds no signing key.

import type { CallLimits } from '../control-plane/authorization.ts';
import type { Revocations } from '../control-plane/permits/revocations.ts';
import { Defect } from '../domain/defect.ts';
import { type Denial, deny } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import type { EntryBody } from '../domain/entry.ts';
import type { JsonObject } from '../domain/json.ts';
import { chainLink } from '../domain/lineage.ts';
import { PERMIT_LIFETIME_SECONDS_MAX } from '../domain/permit.ts';
import { commit } from '../ledger/vault.ts';
import type { LimitsOf } from './admission.ts';
import type { CallTree } from './call-tree.ts';
import { type CapturedCall, requestCommitment } from './captured-call.ts';
import type { Catalogue } from './catalogue.ts';
import type { Governance, Shut } from './governance.ts';
import { liveWorld } from './guards/live-world.ts';
import { type GuardedCall, type GuardedWorld, type OnPolicyChange, whyNot } from './guards/why-not.ts';
import {
  checkPermit,
  type ExaminedPermit,
  type ExpectedPermit,
  examinePermit,
  type VerifiedClaims,
} from './permit-checks.ts';
import type { Attestations, Clock, GateCrypto, Payload, Receipt, Recorder } from './ports.ts';
import type { Quarantine } from './quarantine.ts';
import type { SpentPermits } from './spent-permits.ts';
import type { CallHooks, Peer, ToolRun } from './tool-server.ts';

declare const verifiedPermit: unique symbol;
declare const recordedCall: unique symbol;

/** A permit that passed every check for one captured call, and is burnt. Only Gate.verify makes one. */
export interface VerifiedPermit {
  readonly [verifiedPermit]: never;
}

/** A verified call whose intent is durable. Only Gate.record makes one; it opens the door once. */
export interface RecordedCall {
  readonly [recordedCall]: never;
}

export interface Verification {
  readonly verified: VerifiedPermit;
  readonly jti: string;
  /** What the permit grants. */
  readonly limits: CallLimits;
}

export interface GatePorts {
  /** Names of this gate in permits: who issues, and this very start as the audience. */
  readonly issuer: string;
  readonly audience: string;
  /** Ids of the public keys whose permits count. */
  readonly permitKeys: ReadonlySet<string>;
  readonly crypto: GateCrypto;
  readonly clock: Clock;
  readonly governance: Governance;
  readonly catalogue: Catalogue;
  readonly revocations: Revocations;
  readonly spent: SpentPermits;
  readonly quarantine: Quarantine;
  readonly attestations: Pick<Attestations, 'of' | 'whileRunning'>;
  /** Digest of the installed policy; undefined while there is none. */
  readonly policy: () => Digest | undefined;
  readonly limits: LimitsOf;
  /** The ledger of this moment. A call that began under one generation of it never ends in another. */
  readonly recorder: () => Recorder;
  /** Who executes this call: a tool server, or the client of the call within which a server asks. */
  readonly peer: (call: CapturedCall) => Peer | undefined;
  /** The chains that calls belong to. */
  readonly tree: Pick<CallTree, 'handOver' | 'standing'>;
  /** Grows when other rules come into force, and not when they apply to one more server. */
  readonly rules?: () => number;
  /** What becomes of calls of this server that run then; they are stopped when absent. */
  readonly onPolicyChange?: (server: string) => OnPolicyChange | undefined;
}

interface Verified {
  readonly call: CapturedCall;
  readonly permit: ExaminedPermit;
  readonly claims: VerifiedClaims['claims'];
  state: 'verified' | 'recording';
}

interface Recorded {
  readonly call: CapturedCall;
  readonly permit: ExaminedPermit;
  readonly claims: VerifiedClaims['claims'];
  readonly recorder: Recorder;
  readonly intent: Receipt;
  /** Why the gate was shut when the intent was handed to the ledger: there it stands behind the entry that says so. */
  readonly shut: Shut | undefined;
  redeemed: boolean;
  /** As it went through the door. */
  guarded: GuardedCall | undefined;
}

/** The obligations that this gate meets: both are limits and reach it inside the permit's limits. */
const OBLIGATION = /^(?:timeoutMs|outputBytes)=[1-9][0-9]{0,11}$/;
const OBLIGATIONS = { has: (obligation: string): boolean => OBLIGATION.test(obligation) };

/** Permits seen at the door before: at the second look, our own burning of the permit is no replay. */
const OWN_BURN = { has: (): boolean => false, full: (): boolean => false };

function copyOf(captured: CapturedCall): CapturedCall {
  const { principal, lineage, salt, ...rest } = captured;
  return { ...rest, principal: { ...principal }, lineage: { ...lineage }, salt: Uint8Array.from(salt) };
}

function unavailable(call: CapturedCall): Denial {
  return call.askedThrough === undefined
    ? deny('SERVER_UNAVAILABLE', call.server)
    : deny('CLIENT_CANNOT_BE_ASKED', 'the client has gone');
}

export class Gate {
  readonly #ports: GatePorts;
  readonly #verified = new WeakMap<VerifiedPermit, Verified>();
  readonly #recorded = new WeakMap<RecordedCall, Recorded>();
  readonly #world: GuardedWorld;

  constructor(ports: GatePorts) {
    this.#ports = ports;
    this.#world = liveWorld(ports);
  }

  /** Checks a permit for a captured call and burns it. Returns the first reason to refuse, in the order of the checks. */
  async verify(permit: string | undefined, captured: CapturedCall): Promise<Verification | Denial> {
    const { crypto, clock, spent } = this.#ports;
    // Read once. What is checked here, checked again at the door and sent is this copy, whatever becomes of the caller's object.
    const call = copyOf(captured);
    const examined = await examinePermit(permit, (kid, data, signature) => crypto.verifyPermit(kid, data, signature));
    // From here to the burning nothing is awaited: two presentations of one permit cannot both pass.
    const checked = this.#check(examined, call, spent);
    if ('code' in checked) return checked;
    const { claims } = checked;
    const burnt = spent.burn(claims.jti, claims.exp, clock.now());
    if (burnt !== undefined) return burnt;
    const verified = Object.freeze({}) as VerifiedPermit;
    this.#verified.set(verified, { call, permit: examined, claims, state: 'verified' });
    return { verified, jti: claims.jti, limits: claims.authorization_details[0].limits };
  }

  /**
   * Makes the intent durable. A refusal means that it may be in the ledger all the same: the call must not be made, and the gate must shut.
   * Throws a Defect for anything but a fresh value of `verify` with the intent of that very call.
   */
  async record(
    verified: VerifiedPermit,
    intent: EntryBody,
    payloads: readonly Payload[],
  ): Promise<{ readonly recorded: RecordedCall; readonly seq: number } | Denial> {
    const held = this.#verified.get(verified);
    if (held === undefined) throw new Defect('a permit that this gate did not verify');
    if (held.state !== 'verified') throw new Defect('a verified permit is recorded once');
    if (intent.type !== 'call.intent' || intent.call !== held.call.call) throw new Defect('the intent of another call');
    held.state = 'recording';
    const recorder = this.#ports.recorder();
    const shut = this.#ports.governance.reason;
    let receipt: Receipt;
    try {
      receipt = await recorder.append(intent, payloads);
    } catch (fault) {
      return deny('GOV_LEDGER_UNWRITABLE', String(fault));
    }
    // The intent is on disk under a signed head. A crash on the next line means: may have run.
    const recorded = Object.freeze({}) as RecordedCall;
    this.#recorded.set(recorded, {
      call: held.call,
      permit: held.permit,
      claims: held.claims,
      recorder,
      intent: receipt,
      shut,
      redeemed: false,
      guarded: undefined,
    });
    return { recorded, seq: receipt.seq };
  }

  /**
   * Opens the door once. Everything that can have changed since the permit was verified is checked again, and the bytes leave in the same
   * tick. A denial means that nothing left.
   */
  execute(recorded: RecordedCall, hooks: CallHooks): ToolRun | Denial {
    const held = this.#recorded.get(recorded);
    if (held === undefined) throw new Defect('a call that this gate did not record');
    if (held.redeemed) return deny('PERMIT_SPENT');
    held.redeemed = true;
    const { call, permit } = held;
    const checked = this.#check(permit, call, OWN_BURN);
    if ('code' in checked) return checked;
    // Whether it is open again makes no difference: by the ledger, nothing begins while the gate is shut.
    if (held.shut !== undefined) return deny(held.shut.code, held.shut.detail);
    if (held.recorder !== this.#ports.recorder())
      return deny('GOV_LEDGER_UNWRITABLE', 'the ledger was opened anew since the intent');
    const peer = this.#ports.peer(call);
    if (peer === undefined) return unavailable(call);
    const given = this.#handOver(call, held.intent, peer);
    if ('code' in given) return given;
    held.guarded = {
      call: call.call,
      inChain: call.askedThrough === undefined,
      claims: held.claims,
      kid: checked.kid,
      ledger: held.recorder,
      rules: this.#world.rules(),
    };
    return peer.dispatch(
      {
        method: call.method,
        // The text was written by us from a parsed value a moment ago.
        meta: { ...(JSON.parse(call.metaJson) as JsonObject), ...given.meta },
        body: call.body,
        outputBytesMax: checked.claims.authorization_details[0].limits.outputBytes,
        manner: call.manner,
      },
      hooks,
    );
  }

  /**
   * Why a call that went through the door must not go on; undefined while it may. Whatever cannot be established is a reason. One that was answered has
   * left its chain: `answered`, and only the rest is asked.
   */
  stands(recorded: RecordedCall, answered = false): Denial | undefined {
    const guarded = this.#recorded.get(recorded)?.guarded;
    if (guarded === undefined) throw new Defect('a call that did not go through this door');
    try {
      return whyNot(answered ? { ...guarded, inChain: false } : guarded, this.#world);
    } catch (fault) {
      return deny('VERIFIER_FAULT', String(fault));
    }
  }

  /** Why what was permitted then would not be now: the gate fell shut, the rules changed or something was revoked since. */
  lapsed(recorded: RecordedCall): Denial | undefined {
    const held = this.#recorded.get(recorded);
    if (held === undefined) throw new Defect('a call that this gate did not record');
    const now = this.#ports.governance.snapshot();
    if ('code' in now) return now;
    const { epoch, rev } = held.claims.gov;
    if (epoch !== now.epoch) return deny('GOV_EPOCH_MISMATCH', 'since the question was put');
    return rev === now.revocation ? undefined : deny('GOV_REVOCATION_BEHIND', 'since the question was put');
  }

  /** A question to a client is part of a call that has its place; it hands nothing on. */
  #handOver(
    { call, server, narrowing, askedThrough }: CapturedCall,
    { seq, leafHash }: Receipt,
    { process }: Peer,
  ): { readonly meta: JsonObject } | Denial {
    if (askedThrough !== undefined) return { meta: {} };
    try {
      return this.#ports.tree.handOver(call, server, narrowing, { seq, leaf: leafHash }, process);
    } catch (fault) {
      return deny('VERIFIER_FAULT', String(fault));
    }
  }

  /** Appends the ending to the generation of the ledger that holds the intent. Rejects when it cannot be recorded there. */
  async conclude(recorded: RecordedCall, ending: EntryBody, payloads: readonly Payload[]): Promise<Receipt> {
    const held = this.#recorded.get(recorded);
    if (held === undefined) throw new Defect('an ending without an intent');
    if (ending.type !== 'call.ending' || ending.call !== held.call.call) throw new Defect('the ending of another call');
    return held.recorder.append(ending, payloads);
  }

  #check(
    permit: ExaminedPermit,
    call: CapturedCall,
    spent: { has(jti: string, exp: number): boolean; full(nowMs: number): boolean },
  ): VerifiedClaims | Denial {
    const { clock, governance, revocations, quarantine } = this.#ports;
    const setAside = quarantine.refusal(call.server, call.principal.agent);
    if (setAside !== undefined) return setAside;
    try {
      const now = clock.now();
      const ageMs = clock.monotonic() - call.atMonotonic;
      const input = { permit, live: governance.live(), now, ageMs, revoked: revocations, spent };
      return checkPermit({ ...input, expected: this.#expect(call) });
    } catch (fault) {
      return deny('VERIFIER_FAULT', String(fault));
    }
  }

  /** What the permit must say, worked out anew from the bytes that would be sent and from the world as it is. */
  #expect(call: CapturedCall): ExpectedPermit {
    const { crypto, catalogue, attestations, governance, issuer, audience, permitKeys, policy, limits } = this.#ports;
    const args = commit(crypto.sha256, call.salt, new TextEncoder().encode(call.argumentsJson));
    return {
      issuer,
      audience,
      keys: permitKeys,
      lifetimeSecondsMax: PERMIT_LIFETIME_SECONDS_MAX,
      at: call.at,
      agent: call.principal.agent,
      connection: call.principal.connection,
      ...(call.principal.proofKey === undefined ? {} : { proofKey: call.principal.proofKey }),
      method: call.method,
      server: call.server,
      tool: call.tool,
      args,
      req: requestCommitment(crypto, call.salt, call),
      attestation: attestations.of(call.server),
      definition: catalogue.definition(call),
      policy: policy() ?? ('' as Digest),
      policyVersion: governance.epoch,
      limitsMax: limits(call),
      obligations: OBLIGATIONS,
      lineage: call.lineage,
      chain: chainLink(crypto.sha256, call.lineage.above, {
        agent: call.principal.agent,
        server: call.server,
        tool: call.tool,
        args,
      }),
    };
  }
}
