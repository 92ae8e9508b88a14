// The world that running calls are held against, read off the gate's own ports in the tick in which it is asked.

import type { GatePorts } from '../gate.ts';
import type { Shut } from '../governance.ts';
import type { GuardedWorld } from './why-not.ts';

/** How long calls go on running while nobody can decide. Another deciding side is there in a second, on a busy machine in a few. */
export const UNDECIDING_MS_MAX = 5_000;

export function liveWorld(ports: GatePorts): GuardedWorld {
  const { governance, catalogue, attestations, revocations, quarantine, tree, clock } = ports;
  /** Since when nobody can decide. */
  let since: number | undefined;
  governance.onChange(() => {
    since = governance.isShutBy('engine') ? (since ?? clock.monotonic()) : undefined;
  });
  // A deciding side that failed is replaced, and says nothing against what was decided before; one that stays away does.
  const shut = (): Shut | undefined => {
    const reason = governance.standingReason;
    if (reason?.guard !== 'engine' || since === undefined) return reason;
    return clock.monotonic() - since < UNDECIDING_MS_MAX ? undefined : reason;
  };
  return {
    shut,
    ledger: () => ports.recorder(),
    revoked: (kind, id) => revocations.has(kind, id),
    setAside: (server, agent) => quarantine.refusal(server, agent),
    attestation: (server) => attestations.whileRunning(server),
    definition: (call) => catalogue.definition(call),
    rules: () => ports.rules?.() ?? 0,
    onPolicyChange: (server) => ports.onPolicyChange?.(server) ?? 'cancel',
    ancestors: (call) => tree.standing(call),
  };
}
