// What it costs to look at everything that runs: one round over few and many calls, each held against governance, revocations, quarantine, the definition of
// its tool and its place in a chain, as in a gate.

import { sha256 } from '../adapters/crypto/node-crypto.ts';
import { LineageRegistry } from '../control-plane/lineage/registry.ts';
import { Revocations } from '../control-plane/permits/revocations.ts';
import type { Digest } from '../domain/digest.ts';
import { type CallId, ulid } from '../domain/ids.ts';
import type { PermitClaims } from '../domain/permit.ts';
import { Catalogue } from '../proxy/catalogue.ts';
import { Governance } from '../proxy/governance.ts';
import { Liveness } from '../proxy/guards/liveness.ts';
import { type GuardedCall, type GuardedWorld, whyNot } from '../proxy/guards/why-not.ts';
import { Quarantine } from '../proxy/quarantine.ts';
import { median } from './quantile.ts';

const ROUNDS = 15;
const DIGEST: Digest = 'sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
/** So many things were revoked before, and none of them means a call of these. */
const REVOKED = 1_000;

function worldOf(): { readonly world: GuardedWorld; readonly registry: LineageRegistry; readonly tool: Digest } {
  const governance = new Governance('01KAJ0000000000000000B0001', []);
  const revocations = new Revocations();
  for (let number = 1; number <= REVOKED; number++)
    revocations.apply({ number, kind: number % 2 === 0 ? 'jti' : 'node', id: `${number}`, at: 0 });
  const quarantine = new Quarantine();
  const catalogue = new Catalogue(sha256);
  const raw = { name: 't', inputSchema: { type: 'object' } };
  catalogue.pin('s', { launch: {}, instructions: null, tools: [raw], prompts: [], resourceTemplates: [] });
  const registry = new LineageRegistry({ revocations, peers: { state: () => 'unknown' } });
  const ledger = {};
  const world: GuardedWorld = {
    shut: () => governance.standingReason,
    ledger: () => ledger,
    revoked: (kind, id) => revocations.has(kind, id),
    setAside: (server, agent) => quarantine.refusal(server, agent),
    attestation: () => DIGEST,
    definition: (call) => catalogue.definition(call),
    rules: () => 1,
    onPolicyChange: () => 'cancel',
    ancestors: (call) => registry.problem(call, Number.NEGATIVE_INFINITY),
  };
  return { world, registry, tool: catalogue.tool('s', 't')?.digest ?? DIGEST };
}

function callsIn(registry: LineageRegistry, tool: Digest, ledger: object, count: number): readonly GuardedCall[] {
  return Array.from({ length: count }, (_, nth) => {
    const call: CallId = ulid(1_795_000_000_000 + nth, new Uint8Array(10));
    registry.join({
      call,
      agent: 'a',
      terms: { root: true, unsaid: 'root' },
      target: { method: 'tools/call', server: 's', tool: 't', args: {} },
      step: () => DIGEST,
      link: () => DIGEST,
      now: 0,
      timeoutMs: 60_000,
    });
    registry.start(call, { now: 0 });
    const claims = {
      sub: 'a',
      jti: `j${nth}`,
      txn: call,
      pol: { dig: DIGEST },
      env: { att: DIGEST, tool },
      lin: { node: call },
      authorization_details: [{ server: 's', tool: 't' }],
    } as unknown as PermitClaims;
    return { call, inChain: true, claims, kid: 'k', ledger, rules: 1 };
  });
}

process.stdout.write('calls that run    one round, ms    µs for each\n');
for (const count of [100, 1_000, 10_000]) {
  const { world, registry, tool } = worldOf();
  const calls = callsIn(registry, tool, world.ledger(), count);
  const silent = calls.map(() => new Liveness(60_000, 0));
  const taken = Array.from({ length: ROUNDS }, () => {
    const before = process.cpuUsage();
    let stopped = 0;
    calls.forEach((call, nth) => {
      if (silent[nth]?.isSilent(1) === true || whyNot(call, world) !== undefined) stopped += 1;
    });
    const { user, system } = process.cpuUsage(before);
    if (stopped > 0) throw new Error('a call was stopped, and nothing speaks against it');
    return user + system;
  });
  const micros = median(taken);
  const columns = [
    String(count).padStart(14),
    (micros / 1_000).toFixed(2).padStart(17),
    (micros / count).toFixed(2).padStart(15),
  ];
  process.stdout.write(`${columns.join('')}\n`);
}
