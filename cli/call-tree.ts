// Chains of calls, wired: the registry and the key that point into each other, the other gates, and what the manifest says of agents.

import { sha256, Verifier } from '../adapters/crypto/node-crypto.ts';
import { LineageRegistry } from '../control-plane/lineage/registry.ts';
import type { Revocations } from '../control-plane/permits/revocations.ts';
import type { Manifest } from '../control-plane/policy/manifest.ts';
import { permitAudience, permitIssuer } from '../domain/permit.ts';
import { CallTree } from '../proxy/call-tree.ts';
import type { Clock, GateCrypto, Recorder } from '../proxy/ports.ts';
import { calleeOf, termsOf } from './chains.ts';
import type { GateFolder } from './home.ts';
import { type GateKeys, originOf } from './ledger.ts';
import { reasonOf } from './output.ts';
import { type GatePeers, openPeers } from './peers.ts';
import type { ServerLaunch } from './servers.ts';

export interface Chains {
  readonly tree: CallTree;
  /** Has not dialled anybody yet. */
  readonly peers: GatePeers;
}

export interface ChainPorts {
  readonly folder: GateFolder;
  readonly keys: GateKeys;
  /** This start of the gate. */
  readonly boot: string;
  readonly manifest: Manifest | undefined;
  readonly launches: readonly ServerLaunch[];
  readonly revocations: Revocations;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly crypto: GateCrypto;
  readonly note: (text: string) => void;
}

/** Rejects with a CommandError for a peer that cannot be one. */
export async function openChains(ports: ChainPorts): Promise<Chains> {
  const { folder, keys, boot, manifest, launches, revocations, recorder, clock, crypto, note } = ports;
  const issuer = permitIssuer(keys.instance);
  const audience = permitAudience(keys.instance, boot);
  const signer = { kid: keys.gate.kid, sign: keys.gate.sign, sha256 };
  const own = new Verifier();
  own.register(keys.gate.publicKey);
  const peers = await openPeers(manifest, {
    clock,
    crypto,
    signer,
    issuer,
    boot,
    log: originOf(keys, folder.name),
    stopUnder: (...meant) => tree.stopUnder(...meant),
    stopChain: (kind, id) => void tree.revoke(kind, id),
    record: (entry) =>
      void recorder
        .append(entry, [])
        .catch((error: unknown) => note(`${entry.type} could not be recorded: ${reasonOf(error)}`)),
    note,
  });
  const launchOf = new Map(launches.map((launch) => [launch.name, launch]));
  const tree: CallTree = new CallTree({
    registry: new LineageRegistry({ revocations, peers: peers.liveness }),
    clock,
    crypto,
    signer,
    reader: {
      // Only a token of ours is for this very start.
      audience: (by) => (by === issuer ? audience : issuer),
      verify: (by, ...signed) => (by === issuer ? own.verify(...signed) : peers.verify(by, ...signed)),
      sha256,
      clockDriftMs: peers.clockDriftMs,
    },
    issuer,
    audiences: [audience],
    ...(peers.elsewhere === undefined ? {} : { peers: peers.elsewhere }),
    terms: (principal) => termsOf(manifest, principal),
    callee: (server, process) => {
      const launch = launchOf.get(server);
      return launch?.callee === undefined ? calleeOf(manifest, server, process) : launch.callee();
    },
  });
  return { tree, peers };
}
