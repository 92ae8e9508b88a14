// What a schema cannot say about a manifest: references that must exist, exclusive choices, and secrets that must not be written down.

import { actionId, PLAIN_METHODS, parseActionId, TOOL_METHOD } from '../../domain/action.ts';
import { checkAgents, checkCallees, checkOperators } from './agent-checks.ts';
import type { FactSpec, Manifest, ManifestRemote } from './manifest.ts';
import { METHOD_KEY } from './methods.ts';
import { nearest } from './nearest.ts';
import { isAbsolutePath } from './path-fact.ts';
import { checkPeers } from './peer-checks.ts';
import { checkSandboxes } from './sandbox-checks.ts';
import type { Problem } from './source.ts';
import { parseAllowEntry } from './url-fact.ts';
import type { YamlDocument, YamlPath } from './yaml-document.ts';

/** Names under which people keep secrets. Over-matching costs the user one line: `env.allow` instead of `env.set`. */
const SECRET_NAME = /(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY)/i;

export function checkManifest(manifest: Manifest, document: YamlDocument): Problem[] {
  return [
    ...checkAgents(manifest, document),
    ...checkOperators(manifest, document),
    ...checkIdentity(manifest, document),
    ...checkListen(manifest, document),
    ...checkServers(manifest, document),
    ...checkSandboxes(manifest, document),
    ...checkCallees(manifest, document),
    ...checkPeers(manifest, document),
    ...checkFacts(manifest, document),
    ...checkGroups(manifest, document),
    ...checkHistory(manifest, document),
  ];
}

function checkIdentity(manifest: Manifest, document: YamlDocument): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const [index, { issuer, audience, jwks }] of manifest.identity.jwt.entries()) {
    const path = ['identity', 'jwt', index];
    if (seen.has(issuer)) problems.push(document.problem([...path, 'issuer'], `the issuer "${issuer}" is named twice`));
    seen.add(issuer);
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(jwks) && !jwks.startsWith('https://')) {
      problems.push(document.problem([...path, 'jwks'], 'keys come from an https address or from a file'));
    }
    if (audience === undefined && manifest.listen.publicUrl === undefined) {
      problems.push(
        document.problem(path, 'which tokens are for this gate? Say "audience", or "publicUrl" under listen'),
      );
    }
  }
  return problems;
}

function checkListen({ listen: { publicUrl, tls } }: Manifest, document: YamlDocument): Problem[] {
  if (publicUrl === undefined) return [];
  const path = ['listen', 'publicUrl'];
  const url = URL.canParse(publicUrl) ? new URL(publicUrl) : undefined;
  // Written exactly as clients write it: it is compared with what tokens and proofs say.
  if (url === undefined || url.origin !== publicUrl) {
    return [document.problem(path, 'not the address of a host: write "https://gate.example", without a path')];
  }
  if (tls !== undefined && url.protocol !== 'https:')
    return [document.problem(path, 'with "tls" nothing but https is spoken: clients reach the gate so')];
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && loopback)) return [];
  return [document.problem(path, 'clients reach the gate over https, or over http on this machine')];
}

function checkServers(manifest: Manifest, document: YamlDocument): Problem[] {
  const problems: Problem[] = [];
  for (const [server, { stdio, http, sse, ws, inProcess, isolation }] of Object.entries(manifest.servers)) {
    const path = ['servers', server];
    if ([stdio, http, sse, ws, inProcess].filter((way) => way !== undefined).length !== 1) {
      problems.push(
        document.problem(path, 'a server is reached in exactly one way: stdio, http, sse, ws or inProcess'),
      );
    }
    if (inProcess !== undefined && isolation !== 'shared')
      problems.push(document.problem([...path, 'isolation'], 'functions of a program are shared by all conversations'));
    for (const variable of Object.keys(stdio?.env.set ?? {})) {
      if (SECRET_NAME.test(variable)) {
        const message = `"${variable}" looks like a secret, which must not be written here: pass it on with env.allow`;
        problems.push(document.problem([...path, 'stdio', 'env', 'set', variable], message, { atKey: true }));
      }
    }
    if (http !== undefined) problems.push(...checkServerUrl(http.url, 'http', [...path, 'http', 'url'], document));
    if (sse !== undefined) problems.push(...checkServerUrl(sse.url, 'http', [...path, 'sse', 'url'], document));
    if (ws !== undefined) problems.push(...checkServerUrl(ws.url, 'ws', [...path, 'ws', 'url'], document));
    for (const [way, remote] of Object.entries({ http, sse, ws })) {
      if (remote !== undefined) problems.push(...checkPins(remote, [...path, way], document));
      if (remote?.oauth === undefined) continue;
      problems.push(...checkOauth(remote, [...path, way], document));
      if (remote.oauth.holder === 'agent' && isolation !== 'per-session') {
        const message = 'a token for each agent needs a connection for each: say "isolation: per-session"';
        problems.push(document.problem([...path, way, 'oauth', 'holder'], message));
      }
    }
  }
  return problems;
}

function checkServerUrl(text: string, scheme: 'http' | 'ws', path: YamlPath, document: YamlDocument): Problem[] {
  if (!URL.canParse(text)) return [document.problem(path, 'not a URL')];
  const url = new URL(text);
  if (url.protocol !== `${scheme}:` && url.protocol !== `${scheme}s:`) {
    const article = scheme === 'http' ? 'an' : 'a';
    return [document.problem(path, `not ${article} ${scheme} or ${scheme}s URL`)];
  }
  if (url.username !== '' || url.password !== '') {
    return [document.problem(path, 'a URL with a user name or password is a secret: use headers with { env: NAME }')];
  }
  return [];
}

function checkPins({ url, pins }: ManifestRemote, path: YamlPath, document: YamlDocument): Problem[] {
  if (pins === undefined) return [];
  const at = [...path, 'pins'];
  if (new Set(pins).size < pins.length) return [document.problem(at, 'a pin is named twice')];
  return /^(https|wss):/i.test(url) ? [] : [document.problem(at, 'a server without TLS shows no key to be pinned')];
}

/** Whatever would send a secret to somebody whom the operator did not name, or can never lead to a token. */
function checkOauth({ auth, headers, oauth }: ManifestRemote, path: YamlPath, document: YamlDocument): Problem[] {
  const problems: Problem[] = [];
  if (oauth === undefined) return problems;
  const at = [...path, 'oauth'];
  const wrong = (message: string, key?: string) =>
    problems.push(document.problem(key === undefined ? at : [...at, key], message));
  const { grant, clientId, clientSecretEnv, privateKeyEnv, algorithm, clientMetadataUrl, issuer, holder } = oauth;
  const secret = clientSecretEnv ?? privateKeyEnv;
  if (auth !== undefined || Object.keys(headers).some((name) => name.toLowerCase() === 'authorization'))
    wrong('a server gets its token in one way: oauth, auth or an Authorization header');
  if (clientSecretEnv !== undefined && privateKeyEnv !== undefined)
    wrong('a client has a secret or a private key, not both');
  if (secret !== undefined && clientId === undefined) wrong('a secret belongs to a clientId');
  if (secret !== undefined && issuer === undefined)
    wrong('a secret belongs to one issuer: name it, so that the server cannot have it sent to another');
  if ((privateKeyEnv === undefined) !== (algorithm === undefined))
    wrong('privateKeyEnv and algorithm are said together');
  if (grant === 'client_credentials' && (clientId === undefined || secret === undefined))
    wrong('client_credentials needs clientId and clientSecretEnv or privateKeyEnv', 'grant');
  if (grant === 'client_credentials' && holder === 'agent')
    wrong('client_credentials gives the gate one token: it cannot have one for each agent', 'holder');
  if (issuer !== undefined && !isSecureAddress(issuer)) wrong('an issuer is an https address', 'issuer');
  if (clientMetadataUrl !== undefined && !/^https:\/\/[^/?#@]+\/[^#]+$/.test(clientMetadataUrl))
    wrong('the address of a client metadata document is https and has a path', 'clientMetadataUrl');
  if (clientMetadataUrl !== undefined && clientId !== undefined)
    wrong('a client is known by clientId or by clientMetadataUrl, not both', 'clientMetadataUrl');
  return problems;
}

/** https, or http on this machine. */
function isSecureAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') return false;
  const local = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
  return protocol === 'https:' || (protocol === 'http:' && local);
}

function checkFacts(manifest: Manifest, document: YamlDocument): Problem[] {
  const problems: Problem[] = [];
  const servers = Object.keys(manifest.servers);
  for (const [server, tools] of Object.entries(manifest.facts)) {
    if (!servers.includes(server)) {
      problems.push(unknownServer(['facts', server], server, servers, document, true));
    }
    for (const [tool, facts] of Object.entries(tools)) {
      const method = tool.startsWith(METHOD_KEY) ? tool.slice(METHOD_KEY.length) : undefined;
      if (method !== undefined && !isPlainMethod(method)) {
        const keys = PLAIN_METHODS.map((one) => `${METHOD_KEY}${one}`);
        const path = ['facts', server, tool];
        problems.push(document.problem(path, noMethod(method), { atKey: true, suggestion: nearest(tool, keys) }));
      }
      for (const [fact, spec] of Object.entries(facts)) {
        problems.push(...checkFact(spec, ['facts', server, tool, fact], document));
      }
    }
  }
  return problems;
}

function checkFact(spec: FactSpec, path: YamlPath, document: YamlDocument): Problem[] {
  const problems: Problem[] = [];
  switch (spec.kind) {
    case 'path':
      for (const [root, directory] of Object.entries(spec.roots)) {
        if (isAbsolutePath(directory) === spec.relative || directory.split('/').includes('..')) {
          const wanted = spec.relative ? 'a relative path' : 'an absolute path';
          problems.push(document.problem([...path, 'roots', root], `a root of this fact is ${wanted} without ".."`));
        }
      }
      for (const [name, patterns] of Object.entries(spec.classes)) {
        for (const [index, pattern] of patterns.entries()) {
          if (!spec.relative && !pattern.startsWith('/') && !pattern.startsWith('**/')) {
            const message = 'a pattern for absolute paths begins with "/" or "**/": this one can never match';
            problems.push(document.problem([...path, 'classes', name, index], message));
          }
          if (spec.relative && pattern.startsWith('/')) {
            const message = 'a pattern for relative paths does not begin with "/": this one can never match';
            problems.push(document.problem([...path, 'classes', name, index], message));
          }
        }
      }
      return problems;
    case 'url':
      for (const [name, entries] of Object.entries(spec.allow)) {
        for (const [index, entry] of entries.entries()) {
          if (parseAllowEntry(entry) === undefined) {
            const message = 'not an address: write "https://host", "https://*.host" or "https://host:port/path/"';
            problems.push(document.problem([...path, 'allow', name, index], message));
          }
        }
      }
      return problems;
    case 'bytes':
    case 'count':
      return problems;
  }
}

function checkGroups(manifest: Manifest, document: YamlDocument): Problem[] {
  const problems: Problem[] = [];
  const servers = Object.keys(manifest.servers);
  for (const [group, members] of Object.entries(manifest.groups)) {
    for (const [index, member] of members.entries()) {
      const path = ['groups', group, index];
      const named = parseActionId(member);
      if (named === undefined) {
        const message = `"${member}" does not name a tool or a method: write server/tool or server:method`;
        problems.push(document.problem(path, message));
      } else if (!servers.includes(named.server)) {
        problems.push(unknownServer(path, named.server, servers, document, false));
      } else if (named.method !== TOOL_METHOD && !isPlainMethod(named.method)) {
        const ids = PLAIN_METHODS.map((method) => actionId(method, named.server, method));
        problems.push(document.problem(path, noMethod(named.method), { suggestion: nearest(member, ids) }));
      } else if (members.indexOf(member) !== index) {
        problems.push(document.problem(path, `"${member}" is named twice`));
      }
    }
  }
  return problems;
}

function checkHistory({ history, groups }: Manifest, document: YamlDocument): Problem[] {
  const known = Object.keys(groups);
  return Object.keys(history?.used ?? {})
    .filter((group) => !known.includes(group))
    .map((group) =>
      document.problem(['history', 'used', group], `there is no group "${group}"`, {
        atKey: true,
        suggestion: nearest(group, known),
      }),
    );
}

function isPlainMethod(method: string): boolean {
  return (PLAIN_METHODS as readonly string[]).includes(method);
}

function noMethod(method: string): string {
  return `there is no governed method "${method}"`;
}

function unknownServer(
  path: YamlPath,
  server: string,
  servers: readonly string[],
  document: YamlDocument,
  atKey: boolean,
): Problem {
  return document.problem(path, `there is no server "${server}"`, { atKey, suggestion: nearest(server, servers) });
}
