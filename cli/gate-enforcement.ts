// The enforcement point of a gate, wired: the door, and what starts and runs calls before it, with what each server's launch says of its calls.

import type { CallLimits } from '../control-plane/authorization.ts';
import type { Revocations } from '../control-plane/permits/revocations.ts';
import { permitAudience, permitIssuer } from '../domain/permit.ts';
import { type AdmissionPorts, inPlace, type LimitsOf, serverOf } from '../proxy/admission.ts';
import type { CallTree } from '../proxy/call-tree.ts';
import { Channels } from '../proxy/channels.ts';
import { Enforcement, type EnforcementPorts } from '../proxy/enforcement.ts';
import { Gate } from '../proxy/gate.ts';
import type { Governance } from '../proxy/governance.ts';
import type { LedgerKeeper } from '../proxy/ledger-keeper.ts';
import { MESSAGE_BYTES_MAX, QUESTION_TIMEOUT_MS } from '../proxy/limits.ts';
import type { Attestations, Clock, GateCrypto } from '../proxy/ports.ts';
import type { Quarantine } from '../proxy/quarantine.ts';
import type { RunnerPorts } from '../proxy/running-call.ts';
import type { ServerPool } from '../proxy/server-pool.ts';
import { SpentPermits } from '../proxy/spent-permits.ts';
import type { UnknownCalls } from '../proxy/unknown-calls.ts';
import type { PolicyInForce } from './policy-in-force.ts';
import type { GateOptions } from './running-gate.ts';

export interface GateEnforcementPorts
  extends Pick<AdmissionPorts, 'authority' | 'catalogue' | 'history'>,
    Pick<RunnerPorts, 'checkOutput' | 'turnover' | 'onDefect'>,
    Pick<EnforcementPorts, 'described'> {
  readonly options: GateOptions;
  /** This start of the gate. */
  readonly boot: string;
  /** The id of the public key whose permits count. */
  readonly permitKey: string;
  readonly clock: Clock;
  readonly crypto: GateCrypto;
  readonly governance: Governance;
  readonly revocations: Revocations;
  readonly quarantine: Quarantine;
  readonly attestations: Attestations;
  readonly tree: CallTree;
  readonly keeper: LedgerKeeper;
  readonly servers: ServerPool;
  readonly retries: UnknownCalls;
  /** What is in force in this tick. */
  readonly policy: () => Pick<PolicyInForce, 'digest' | 'rules'>;
}

/** A question has the client's time, and an answer as large as any message. */
const QUESTION_LIMITS: CallLimits = { timeoutMs: QUESTION_TIMEOUT_MS, outputBytes: MESSAGE_BYTES_MAX };

export function gateEnforcement(ports: GateEnforcementPorts): Enforcement {
  const { boot, permitKey, clock, crypto, governance, catalogue, revocations, quarantine, attestations } = ports;
  const { turnover, tree, keeper, servers, authority, checkOutput, history, retries, policy, described, onDefect } =
    ports;
  const { keys, launches, oneClient } = ports.options;
  const limitsOf = new Map(launches.map((launch) => [launch.name, launch.limits]));
  const limits: LimitsOf = (call) =>
    call.askedThrough === undefined
      ? inPlace(limitsOf.get(call.server) ?? { timeoutMs: 1, outputBytes: 1 }, call)
      : QUESTION_LIMITS;
  const launchOf = new Map(launches.map((launch) => [launch.name, launch]));
  const channels = new Channels();
  const gate = new Gate({
    issuer: permitIssuer(keys.instance),
    audience: permitAudience(keys.instance, boot),
    tree,
    permitKeys: new Set([permitKey]),
    crypto,
    clock,
    governance,
    catalogue,
    revocations,
    spent: new SpentPermits(),
    quarantine,
    attestations,
    policy: () => policy().digest,
    rules: () => policy().rules,
    onPolicyChange: (server) => launchOf.get(server)?.onPolicyChange,
    limits,
    recorder: () => keeper.recorder(),
    peer: (call) => (call.askedThrough === undefined ? serverOf(servers, call) : channels.get(call.askedThrough)),
  });

  return new Enforcement({
    clock,
    crypto,
    governance,
    admission: {
      authority,
      catalogue,
      governance,
      servers,
      limits,
      quarantine,
      attestations,
      history,
      retries,
    },
    runner: {
      gate,
      recorder: keeper,
      clock,
      crypto,
      checkOutput,
      turnover,
      idleTimeoutMs: (server) => launchOf.get(server)?.idleTimeoutMs,
      tree,
      retries,
      onUnrecorded: (code) => keeper.fail(`an ending could not be recorded (${code})`),
      onDefect,
    },
    concurrency: (server) => launchOf.get(server)?.concurrency,
    described,
    channels,
    tree,
    oneClient: oneClient === true,
  });
}
