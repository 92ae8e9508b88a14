// What an agent behind a server is given to prove itself with, by how the manifest says that it does.

import { expect, it } from 'vitest';
import { connectionDigest } from '../../../adapters/identity/agent.ts';
import { pinnedConnection } from '../../../adapters/identity/certificate.ts';
import { calleeOf, termsOf } from '../../../cli/chains.ts';
import { parseManifest } from '../../../control-plane/policy/parse-manifest.ts';
import type { OwnProcess } from '../../../proxy/tool-server.ts';
import { commitmentOf } from '../../support/commitments.ts';

const KEY = 'A'.repeat(43);
const PROCESS: OwnProcess = { key: '7:1', connection: commitmentOf('process') };

function manifestWith(auth: string, server = 'stdio: { command: c }') {
  const parsed = parseManifest(
    `apiVersion: portcullis/v1
listen: { tls: { cert: c, key: k } }
identity: { jwt: [{ issuer: i, audience: a, jwks: k.json, algorithms: [EdDSA] }] }
agents:
  w: { root: false, auth: ${auth} }
servers:
  s: { ${server}, agent: w }
  t: { stdio: { command: c } }
`,
    'p.yaml',
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.manifest;
}

it.each([
  [`{ apiKey: "sha256:${KEY}" }`, { conn: connectionDigest('api_key', `sha256:${KEY}`) }],
  [`{ proofKey: ${KEY} }`, { jkt: KEY }],
  [`{ spki: "sha256:${KEY}" }`, { conn: pinnedConnection([`sha256:${KEY}`]) }],
  [`{ jwt: { sub: x, proofKey: ${KEY} } }`, { jkt: KEY }],
])('an agent with %s is bound to that', (auth, cnf) => {
  const manifest = manifestWith(auth);
  // Only a key of its own is known at other gates.
  const peers = auth.includes('apiKey') ? {} : { peers: [] };
  expect(calleeOf(manifest, 's', undefined)).toEqual({ agent: 'w', cnf, ...peers });
  // That a process was started for it is no proof where another one is asked for.
  expect(calleeOf(manifest, 's', PROCESS)).toEqual({ agent: 'w', cnf, ...peers });
  expect(calleeOf(manifest, 't', PROCESS)).toBeUndefined();
});

it('an agent that is a process is bound to its connection, and is none without one', () => {
  const manifest = manifestWith('process');
  expect(calleeOf(manifest, 's', undefined)).toBeUndefined();
  expect(calleeOf(manifest, 's', PROCESS)).toEqual({ agent: 'w', cnf: { conn: PROCESS.connection }, process: '7:1' });
});

it('without a manifest, and without a word about it, nothing is an agent and nobody starts a chain who may not', () => {
  const principal = {
    agent: 'x',
    roles: [],
    root: false,
    authentication: 'local',
    connection: PROCESS.connection,
  } as const;
  expect(calleeOf(undefined, 's', PROCESS)).toBeUndefined();
  expect(termsOf(undefined, principal)).toEqual({ root: false, unsaid: 'deny' });
  expect(termsOf(undefined, { ...principal, root: true })).toEqual({ root: true, unsaid: 'root' });
});
