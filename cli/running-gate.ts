// What a gate is started with, and what can be done with one that runs. How it is wired is gate.ts.

import type { PeerFront } from '../adapters/downstream/ws/ws-front.ts';
import type { DecidingThread } from '../adapters/policy-engine/deciding-thread.ts';
import type { WorkerAuthority } from '../adapters/policy-engine/worker-authority.ts';
import type { StandingSince } from '../proxy/breaker-log.ts';
import type { ClientSessions } from '../proxy/client-port.ts';
import type { Enforcement } from '../proxy/enforcement.ts';
import type { Governance } from '../proxy/governance.ts';
import type { Authority } from '../proxy/ports.ts';
import type { Quarantined } from '../proxy/quarantine.ts';
import type { UnknownCall } from '../proxy/unknown-calls.ts';
import type { Configuration } from './configuration.ts';
import type { GateFolder } from './home.ts';
import type { GateKeys } from './ledger.ts';
import type { Quarantines } from './quarantines.ts';
import type { ReviewVerb } from './review-command.ts';
import type { SandboxingPorts } from './sandboxing.ts';
import type { ServerLaunch, ServerSurroundings } from './servers.ts';
import type { Settlement } from './unknown-calls.ts';
import type { Withdrawals } from './withdrawals.ts';

export interface GateOptions {
  readonly folder: GateFolder;
  readonly keys: GateKeys;
  readonly version: string;
  /** Undefined on a first run: the gate works, records, and denies every call. */
  readonly configuration: Configuration | undefined;
  readonly launches: readonly ServerLaunch[];
  /** Said to a model whose call was denied for want of a policy. */
  readonly missingPolicyHint: string;
  /** There is one client for as long as the gate lives, so that whatever a server asks is for that one. */
  readonly oneClient?: boolean;
  /** Servers start when somebody wants them; those named here are wanted from the start. Absent, all of them are. */
  readonly wanted?: readonly string[] | undefined;
  readonly note: (text: string) => void;
  /** See PolicyInForce. */
  readonly onJudged?: ((servers: readonly string[]) => void) | undefined;
  /** Loading already; used for the policy where there is one, and ended where there is none. */
  readonly deciding?: DecidingThread | undefined;
  /** Consents to an authorization in a person's place. For tests: a gate has nobody to ask, and says `portcullis login` instead. */
  readonly consent?: ServerSurroundings['consent'];
  /** In place of looking what this machine has. For tests. */
  readonly findSandbox?: SandboxingPorts['find'];
  /** Stands between the gate and its deciding side. For showing what happens when that side is wrong or gone. */
  readonly interpose?: (authority: Authority) => Authority;
}

export interface RunningGate extends Withdrawals {
  readonly enforcement: Enforcement;
  readonly governance: Governance;
  readonly sessions: ClientSessions;
  /** Takes in the gates that dial this one; undefined where none may. */
  readonly peers: PeerFront | undefined;
  readonly authority: WorkerAuthority;
  readonly quarantines: Quarantines;
  /** Settles when the gate is open, or cannot open by itself. */
  readonly ready: Promise<void>;
  /** Has a server started that nobody needed before. Resolves when it is known what becomes of it, within a bounded time. Never rejects. */
  want(server: string): Promise<void>;
  /** The servers whose calls can be decided now. */
  served(): readonly string[];
  /** What keeps the gate shut, and what does not, guard by guard. */
  standings(): readonly StandingSince[];
  /** Whoever is set aside. */
  quarantined(): readonly Quarantined[];
  /** Calls that nobody knows the end of, and that are not made again before a person has looked. */
  unknownCalls(): readonly UnknownCall[];
  /** What a person runs next for a server that waits for one. */
  command(verb: ReviewVerb, server: string): string;
  /** A person has. Rejects, and changes nothing, when it cannot be recorded. */
  settle(call: string, as: Settlement, by?: string): Promise<void>;
  /** Has what was approved or taken back since then count now. Never rejects. */
  takeApprovals(): Promise<void>;
  /** Shuts the gate for a defect that was found outside of it. */
  halt(defect: unknown): void;
  close(): Promise<void>;
}
