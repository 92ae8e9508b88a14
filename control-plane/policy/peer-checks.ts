// What a schema cannot say about other gates in a manifest: each is one gate, reached where nobody listens in, and who may call there can prove itself
// there.

import type { Manifest } from './manifest.ts';
import { nearest } from './nearest.ts';
import type { Problem } from './source.ts';
import type { YamlDocument } from './yaml-document.ts';

export function checkPeers(manifest: Manifest, document: YamlDocument): Problem[] {
  return [...checkGates(manifest, document), ...checkBearers(manifest, document)];
}

function checkGates({ peers = {} }: Manifest, document: YamlDocument): Problem[] {
  const problems: Problem[] = [];
  const issuers = new Map<string, string>();
  const keys = new Map<string, string>();
  for (const [name, { issuer, key, url }] of Object.entries(peers)) {
    for (const [what, known, value] of [
      ['issuer', issuers, issuer],
      ['key', keys, key],
    ] as const) {
      const owner = known.get(value);
      if (owner !== undefined)
        problems.push(
          document.problem(['peers', name, what], `the peers "${owner}" and "${name}" have the same ${what}`),
        );
      known.set(value, name);
    }
    if (url !== undefined) problems.push(...checkUrl(url, name, document));
  }
  return problems;
}

function checkUrl(text: string, name: string, document: YamlDocument): Problem[] {
  const path = ['peers', name, 'url'];
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'ws:' && url.protocol !== 'wss:'))
    return [document.problem(path, 'not the address of a gate: write "wss://gate.example/peer"')];
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    return [document.problem(path, 'the address of a gate has no user, query or fragment')];
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  return url.protocol === 'wss:' || loopback
    ? []
    : [document.problem(path, 'a gate is reached over wss, or over ws on this machine')];
}

/** What binds a token to a connection here means nothing at another gate: only a key of the agent's own does. */
function checkBearers({ agents, peers = {}, servers }: Manifest, document: YamlDocument): Problem[] {
  const problems: Problem[] = [];
  const names = Object.keys(peers);
  for (const [agent, { auth, peers: at = [] }] of Object.entries(agents)) {
    for (const [index, name] of at.entries()) {
      const path = ['agents', agent, 'peers', index];
      if (!names.includes(name))
        problems.push(document.problem(path, `there is no peer "${name}"`, { suggestion: nearest(name, names) }));
      else if (at.indexOf(name) !== index) problems.push(document.problem(path, `"${name}" is named twice`));
    }
    if (at.length === 0) continue;
    const path = ['agents', agent, 'peers'];
    if (!provesKey(auth))
      problems.push(
        document.problem(
          path,
          `the agent "${agent}" can be known at another gate by a key of its own only: give it a proofKey, a jwt with one, or an spki`,
        ),
      );
    if (!Object.values(servers).some((server) => server.agent === agent))
      problems.push(document.problem(path, `no server is the agent "${agent}": nothing is handed to it here`));
  }
  return problems;
}

function provesKey(auth: Manifest['agents'][string]['auth']): boolean {
  return typeof auth === 'object' && (auth.proofKey ?? auth.jwt?.proofKey ?? auth.spki) !== undefined;
}
