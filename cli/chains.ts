// What the manifest says about chains of calls: who may start one, which servers are agents, and what these prove themselves with.

import { connectionDigest } from '../adapters/identity/agent.ts';
import { pinnedConnection } from '../adapters/identity/certificate.ts';
import type { AgentTerms } from '../control-plane/lineage/place.ts';
import type { Manifest } from '../control-plane/policy/manifest.ts';
import { isDigest } from '../domain/digest.ts';
import type { Principal } from '../domain/principal.ts';
import type { Scope } from '../domain/scope.ts';
import type { Callee } from '../proxy/lineage-tokens.ts';
import type { OwnProcess } from '../proxy/tool-server.ts';
import { issuersOf } from './peers.ts';

/** Without a manifest an agent may do what its principal says; nothing is allowed then anyway. */
export function termsOf(manifest: Manifest | undefined, { agent: name, root }: Principal): AgentTerms {
  const agent = manifest !== undefined && Object.hasOwn(manifest.agents, name) ? manifest.agents[name] : undefined;
  const unsaid = agent?.withoutToken ?? (root ? 'root' : 'deny');
  return { root, unsaid, ...(agent?.scope === undefined ? {} : { scope: agent.scope as Scope }) };
}

/** The agent behind a server; undefined for a server that is none, and for one that cannot prove to be it. */
export function calleeOf(
  manifest: Manifest | undefined,
  server: string,
  process: OwnProcess | undefined,
): Callee | undefined {
  const name = manifest?.servers[server]?.agent;
  const agent = name === undefined ? undefined : manifest?.agents[name];
  if (name === undefined || agent === undefined || agent.auth === 'local') return undefined;
  if (agent.auth === 'process')
    return process === undefined ? undefined : { agent: name, cnf: { conn: process.connection }, process: process.key };
  const { apiKey, jwt, spki, proofKey = jwt?.proofKey } = agent.auth;
  if (apiKey !== undefined) return { agent: name, cnf: { conn: connectionDigest('api_key', apiKey) } };
  const peers = manifest === undefined ? [] : issuersOf(manifest, agent.peers ?? []);
  // The same pins are the same connection at every gate.
  if (spki !== undefined) return { agent: name, cnf: { conn: pinnedConnection(spki.filter(isDigest)) }, peers };
  return proofKey === undefined ? undefined : { agent: name, cnf: { jkt: proofKey }, peers };
}
