// What a schema cannot say about agents: that each proves itself in one way, and that nobody else can use what an agent behind a server is given.

import { type Manifest, type ManifestAgent, SCOPE } from './manifest.ts';
import { nearest } from './nearest.ts';
import type { Problem } from './source.ts';
import type { YamlDocument } from './yaml-document.ts';

/** A scope is recorded with each call of the chain, beside the narrower ones. As JSON. */
const SCOPE_CHARACTERS_MAX = 4_096;

/** Ways to prove oneself over HTTP. */
const WAYS = ['apiKey', 'jwt', 'proofKey', 'spki'] as const;

/** An agent behind a server gets tokens that nobody else can use, and starts nothing by itself. */
export function checkCallees(manifest: Manifest, document: YamlDocument): Problem[] {
  return Object.entries(manifest.servers).flatMap(([server, { agent: name, inProcess }]) => {
    if (name === undefined) return [];
    const path = ['servers', server, 'agent'];
    const agent = Object.hasOwn(manifest.agents, name) ? manifest.agents[name] : undefined;
    if (agent === undefined) {
      const suggestion = nearest(name, Object.keys(manifest.agents));
      return [document.problem(path, `there is no agent "${name}"`, { suggestion })];
    }
    const { auth, root } = agent;
    if (inProcess !== undefined && auth !== 'local')
      return [document.problem(path, `the agent "${name}" is in the process of the gate: say "auth: local" of it`)];
    return [
      ...(auth === 'process' ? notOneProcess(manifest, server, document) : []),
      ...(root ? [document.problem(path, `the agent "${name}" works for others: say "root: false" of it`)] : []),
      ...(inProcess !== undefined || isBound(auth)
        ? []
        : [document.problem(path, `the agent "${name}" needs ${BINDINGS}`)]),
    ];
  });
}

export function checkAgents(manifest: Manifest, document: YamlDocument): Problem[] {
  const problems: Problem[] = [];
  const owners = new Map<string, string>();
  for (const [name, agent] of Object.entries(manifest.agents)) {
    const { roles, auth } = agent;
    const path = ['agents', name];
    for (const [index, role] of roles.entries()) {
      if (roles.indexOf(role) !== index) {
        problems.push(document.problem([...path, 'roles', index], `the role "${role}" is named twice`));
      }
    }
    if (JSON.stringify(agent.scope ?? []).length > SCOPE_CHARACTERS_MAX) {
      const message = `a scope has at most ${SCOPE_CHARACTERS_MAX} characters as JSON: name fewer paths, or folders above them`;
      problems.push(document.problem([...path, 'scope'], message));
    }
    if (agent.withoutToken === 'root' && !agent.root) {
      problems.push(
        document.problem([...path, 'withoutToken'], 'an agent that may not start a chain cannot be its root'),
      );
    }
    if (agent.withoutToken === 'infer' && auth !== 'process') {
      const message = 'only of a process that the gate started it is known what it works on: say "auth: process"';
      problems.push(document.problem([...path, 'withoutToken'], message));
    }
    if (auth === 'process' && !Object.values(manifest.servers).some((server) => server.agent === name)) {
      const message = `no server is the agent "${name}": say "agent: ${name}" of the one that is started for it`;
      problems.push(document.problem([...path, 'auth'], message));
    }
    // Several agents may be local: which one a client is, its own command line says (`--agent`).
    if (typeof auth === 'string') continue;
    if (WAYS.filter((way) => auth[way] !== undefined).length !== 1) {
      problems.push(
        document.problem([...path, 'auth'], `an agent proves itself in exactly one way: ${WAYS.join(' or ')}`),
      );
      continue;
    }
    for (const credential of credentialsOf(auth)) {
      const owner = owners.get(credential);
      if (owner !== undefined) {
        const same = owner === name ? `the agent "${name}" has` : `the agents "${owner}" and "${name}" have`;
        problems.push(
          document.problem([...path, 'auth'], `${same} the same credential${owner === name ? ' twice' : ''}`),
        );
      }
      owners.set(credential, name);
    }
    if (auth.spki !== undefined && manifest.listen.tls === undefined) {
      const message = 'a certificate is shown over TLS: name "tls" under listen';
      problems.push(document.problem([...path, 'auth', 'spki'], message));
    }
    if (auth.jwt !== undefined) {
      const issuers = manifest.identity.jwt.map(({ issuer }) => issuer);
      const { issuer, claims } = auth.jwt;
      if (!(claims?.scope ?? '').split(' ').every((word) => word === '' || SCOPE.test(word))) {
        problems.push(document.problem([...path, 'auth', 'jwt', 'claims', 'scope'], 'not a list of scopes'));
      }
      if (issuers.length === 0) {
        problems.push(document.problem([...path, 'auth', 'jwt'], 'no issuer is trusted: add one under identity.jwt'));
      } else if (issuer === undefined && issuers.length > 1) {
        problems.push(
          document.problem([...path, 'auth', 'jwt'], 'several issuers are trusted: say which with "issuer"'),
        );
      } else if (issuer !== undefined && !issuers.includes(issuer)) {
        problems.push(
          document.problem([...path, 'auth', 'jwt', 'issuer'], `the issuer "${issuer}" is not under identity.jwt`, {
            suggestion: nearest(issuer, issuers),
          }),
        );
      }
    }
  }
  return problems;
}

/** Whoever may stop agents must not be one of them. */
export function checkOperators({ agents, operators = {} }: Manifest, document: YamlDocument): Problem[] {
  const owners = new Map<string, string>();
  for (const [name, { auth }] of Object.entries(agents)) {
    if (typeof auth !== 'string' && auth.apiKey !== undefined) owners.set(auth.apiKey, `the agent "${name}"`);
  }
  return Object.entries(operators).flatMap(([name, { apiKey }]) => {
    const owner = owners.get(apiKey);
    owners.set(apiKey, `the operator "${name}"`);
    if (owner === undefined) return [];
    return [document.problem(['operators', name, 'apiKey'], `this is the key of ${owner} too`)];
  });
}

/** What it proves itself with, each in a form that nothing else has. */
function credentialsOf(auth: Exclude<ManifestAgent['auth'], string>): readonly string[] {
  const { apiKey, proofKey, spki, jwt } = auth;
  if (apiKey !== undefined) return [apiKey];
  if (proofKey !== undefined) return [proofKey];
  if (spki !== undefined) return spki.map((pin) => `spki ${pin}`);
  return [JSON.stringify(['jwt', jwt?.issuer ?? null, jwt?.sub, Object.entries(jwt?.claims ?? {}).sort()])];
}

/** What an agent can be told by that was given a token. */
const BINDINGS = 'an apiKey, a proofKey, a jwt with the thumbprint of its proofKey, an spki, or "auth: process"';

function isBound(auth: ManifestAgent['auth']): boolean {
  if (typeof auth === 'string') return auth === 'process';
  return auth.apiKey !== undefined || auth.spki !== undefined || (auth.proofKey ?? auth.jwt?.proofKey) !== undefined;
}

/** Which process a call goes to must be plain when its token is made. */
function notOneProcess(manifest: Manifest, server: string, document: YamlDocument): Problem[] {
  const { stdio } = manifest.servers[server] ?? {};
  if (stdio === undefined)
    return [document.problem(['servers', server, 'agent'], 'only a stdio server is a process that the gate starts')];
  if (stdio.era !== 'both') return [];
  const message = 'an agent that is a process is one process: say "legacy" or "modern", or leave it to be found out';
  return [document.problem(['servers', server, 'stdio', 'era'], message)];
}
