import { describe, expect, it } from 'vitest';
import { parseManifest } from '../../../../control-plane/policy/parse-manifest.ts';
import { problemText } from '../../../../control-plane/policy/source.ts';
import { proves } from '../../../guarantees.ts';

const TLS = 'listen: { tls: { cert: c.pem, key: k.pem } }\n';
const pinOf = (letter: string): string => `"sha256:${letter.repeat(43)}"`;
const BASE = 'apiVersion: portcullis/v1\n';
const DIGEST = `sha256:${'A'.repeat(43)}`;

function problemsOf(text: string): string[] {
  const result = parseManifest(text, 'p.yaml');
  return result.ok ? [] : result.problems.map(problemText);
}

const ONE_FS = 'servers: { fs: { stdio: { command: node } } }\n';

describe('a manifest', () => {
  it.each<[string, string, string[]]>([
    ['nothing', '', ['p.yaml:1:1: expected a mapping, found nothing']],
    ['a list', '- a\n', ['p.yaml:1:1: expected a mapping, found a list']],
    [
      'another version',
      'apiVersion: portcullis/v2\n',
      ['p.yaml:1:13: "apiVersion": begin with "apiVersion: portcullis/v1", the only version'],
    ],
    ['an unknown key', `${BASE}server: {}\n`, ['p.yaml:2:1: unknown key "server" (did you mean servers?)']],
    [
      'an unknown key deep inside',
      `${BASE}servers:\n  fs:\n    stdio: { command: node, arg: [x] }\n`,
      ['p.yaml:4:29: unknown key "arg" in stdio (did you mean args?)'],
    ],
    [
      'an unknown key of an alternative',
      `${BASE}agents:\n  a: { auth: { apikey: x } }\n`,
      ['p.yaml:3:16: unknown key "apikey" in auth (did you mean apiKey?)'],
    ],
    ['two documents', `${BASE}---\na: 1\n`, ['p.yaml:2:1: the file has more than one document']],
    ['a repeated key', `${BASE}namespace: A\nnamespace: B\n`, ['p.yaml:3:1: Map keys must be unique']],
    [
      'anchors and aliases',
      `${BASE}agents:\n  a: &x { auth: local }\n  b: *x\n`,
      ['p.yaml:3:9: anchors are not part of this format', 'p.yaml:4:6: aliases are not part of this format'],
    ],
    ['a tag', `${BASE}namespace: !!str A\n`, ['p.yaml:2:18: tags are not part of this format']],
    ['a merge key', `${BASE}agents:\n  <<: {}\n`, ['p.yaml:3:3: merge keys are not part of this format']],
    ['a prototype', `${BASE}agents:\n  __proto__: {}\n`, ['p.yaml:3:3: the key "__proto__" is not allowed']],
    ['a wrong form', `${BASE}agents: 5\n`, ['p.yaml:2:9: "agents": expected a mapping, found a number']],
    [
      'a permit that lives too long',
      `${BASE}defaults: { permitTtlMs: 60001 }\n`,
      ['p.yaml:2:26: "permitTtlMs": at most 60000'],
    ],
    [
      'a server that takes no call at a time',
      `${BASE}servers:\n  fs: { stdio: { command: a }, limits: { concurrency: 0 } }\n`,
      ['p.yaml:3:55: "concurrency": at least 1'],
    ],
    [
      'a silence that is too short to be told',
      `${BASE}servers:\n  fs: { stdio: { command: a }, limits: { idleTimeoutMs: 999 } }\n`,
      ['p.yaml:3:57: "idleTimeoutMs": at least 1000'],
    ],
    [
      'a server that is shared by some',
      `${BASE}servers:\n  fs: { stdio: { command: a }, isolation: per-call }\n`,
      ['p.yaml:3:43: "isolation": must be one of shared, per-session, per-root'],
    ],
    [
      'a secret without the issuer it belongs to',
      `${BASE}servers:\n  v:\n    http: { url: "https://v", oauth: { clientId: a, clientSecretEnv: A } }\n`,
      ['p.yaml:4:38: a secret belongs to one issuer: name it, so that the server cannot have it sent to another'],
    ],
    [
      'a secret of no client',
      `${BASE}servers:\n  v:\n    http: { url: "https://v", oauth: { clientSecretEnv: A, issuer: "https://i" } }\n`,
      ['p.yaml:4:38: a secret belongs to a clientId'],
    ],
    [
      'a private key without its algorithm',
      `${BASE}servers:\n  v:\n    http: { url: "https://v", oauth: { clientId: a, privateKeyEnv: A, issuer: "https://i" } }\n`,
      ['p.yaml:4:38: privateKeyEnv and algorithm are said together'],
    ],
    [
      'credentials that are none',
      `${BASE}servers:\n  v:\n    http: { url: "https://v", oauth: { grant: client_credentials } }\n`,
      ['p.yaml:4:47: client_credentials needs clientId and clientSecretEnv or privateKeyEnv'],
    ],
    [
      'an issuer over plain http',
      `${BASE}servers:\n  v:\n    http: { url: "https://v", oauth: { issuer: "http://i.example" } }\n`,
      ['p.yaml:4:48: an issuer is an https address'],
    ],
    [
      'a client described at no path',
      `${BASE}servers:\n  v:\n    http: { url: "https://v", oauth: { clientMetadataUrl: "https://x" } }\n`,
      ['p.yaml:4:59: the address of a client metadata document is https and has a path'],
    ],
    [
      'a token that is got in two ways',
      `${BASE}servers:\n  v:\n    http: { url: "https://v", auth: { env: A }, oauth: {} }\n`,
      ['p.yaml:4:56: a server gets its token in one way: oauth, auth or an Authorization header'],
    ],
    [
      'a token that is got in two ways on a WebSocket',
      `${BASE}servers:\n  v:\n    ws: { url: "wss://v", auth: { env: A }, oauth: { issuer: "http://i.example" } }\n`,
      [
        'p.yaml:4:52: a server gets its token in one way: oauth, auth or an Authorization header',
        'p.yaml:4:62: an issuer is an https address',
      ],
    ],
    [
      'a token for each agent on a connection for all, without a person',
      `${BASE}servers:\n  v:\n    http: { url: "https://v", oauth: { holder: agent, grant: client_credentials, clientId: a, clientSecretEnv: A, issuer: "https://i" } }\n`,
      [
        'p.yaml:4:48: client_credentials gives the gate one token: it cannot have one for each agent',
        'p.yaml:4:48: a token for each agent needs a connection for each: say "isolation: per-session"',
      ],
    ],
    [
      'a token bound to a key or not',
      `${BASE}servers:\n  v:\n    sse: { url: "https://v", oauth: { dpop: accepted } }\n`,
      [expect.stringContaining('p.yaml:4:45: ')],
    ],
    [
      'a pin of a server without TLS',
      `${BASE}servers:\n  v:\n    http: { url: "http://localhost", pins: ["sha256:${'A'.repeat(43)}"] }\n`,
      ['p.yaml:4:44: a server without TLS shows no key to be pinned'],
    ],
    [
      'a pin that is named twice',
      `${BASE}servers:\n  v:\n    ws: { url: "wss://v", pins: ["sha256:${'A'.repeat(43)}", "sha256:${'A'.repeat(43)}"] }\n`,
      ['p.yaml:4:33: a pin is named twice'],
    ],
    [
      'a pin that is none',
      `${BASE}servers:\n  v:\n    sse: { url: "https://v", pins: [sha256/AAAA] }\n`,
      [expect.stringContaining('not the pin of a key')],
    ],
    [
      'a network that is none',
      `${BASE}servers:\n  v:\n    sse: { url: "https://v", network: any }\n`,
      [expect.stringContaining('the only network to be named is "private"')],
    ],
    [
      'a server that is reached in two ways',
      `${BASE}servers:\n  fs: { stdio: { command: a }, http: { url: "https://x" } }\n`,
      ['p.yaml:3:7: a server is reached in exactly one way: stdio, http, sse, ws or inProcess'],
    ],
    [
      'a server that is reached by events and by WebSocket',
      `${BASE}servers:\n  a:\n    sse: { url: "https://a/sse" }\n    ws: { url: "wss://a/mcp" }\n`,
      ['p.yaml:4:5: a server is reached in exactly one way: stdio, http, sse, ws or inProcess'],
    ],
    [
      'functions of a program that each conversation gets its own of, and that are reached by a command too',
      `${BASE}servers:\n  a:\n    inProcess: {}\n    isolation: per-session\n  b:\n    inProcess: {}\n    stdio: { command: b }\n`,
      [
        'p.yaml:5:16: functions of a program are shared by all conversations',
        'p.yaml:7:5: a server is reached in exactly one way: stdio, http, sse, ws or inProcess',
      ],
    ],
    [
      'functions of a program that are an agent somewhere else, or one that starts chains',
      `${BASE}agents:\n  a: { root: false, auth: { apiKey: "sha256:${'A'.repeat(43)}" } }\n  b: { auth: local }\nservers:\n  x: { inProcess: {}, agent: a }\n  y: { inProcess: {}, agent: b }\n`,
      [
        'p.yaml:6:30: the agent "a" is in the process of the gate: say "auth: local" of it',
        'p.yaml:7:30: the agent "b" works for others: say "root: false" of it',
      ],
    ],
    [
      'a WebSocket over http',
      `${BASE}servers:\n  a:\n    ws: { url: "https://a/mcp" }\n`,
      ['p.yaml:4:16: not a ws or wss URL'],
    ],
    [
      'events over WebSocket',
      `${BASE}servers:\n  a:\n    sse: { url: "wss://a/mcp" }\n`,
      ['p.yaml:4:17: not an http or https URL'],
    ],
    [
      'a secret in the address of a WebSocket',
      `${BASE}servers:\n  a:\n    ws: { url: "wss://u:p@a/mcp" }\n`,
      ['p.yaml:4:16: a URL with a user name or password is a secret: use headers with { env: NAME }'],
    ],
    [
      'a header of a WebSocket with its value',
      `${BASE}servers:\n  a:\n    ws: { url: "wss://a", headers: { X-Key: secret } }\n`,
      ['p.yaml:4:45: "X-Key": the value of a header comes from the environment: write { env: NAME }'],
    ],
    [
      'a server name with the separator in it',
      `${BASE}servers:\n  a__b: { stdio: { command: a } }\n`,
      ['p.yaml:3:3: a__b: the name of a server has no "__" and no "_" at its end: "__" separates server and tool'],
    ],
    [
      'a role named twice',
      `${BASE}agents:\n  a: { auth: local, roles: [x, x] }\n`,
      ['p.yaml:3:32: the role "x" is named twice'],
    ],
    [
      'a scope that is too large to be recorded with each call',
      `${BASE}agents:\n  a: { auth: local, scope: [{ server: fs, actions: ["*"], in: { "/path": ["${'x'.repeat(4_096)}"] } }] }\n`,
      ['p.yaml:3:28: a scope has at most 4096 characters as JSON: name fewer paths, or folders above them'],
    ],
    [
      'two agents with one credential',
      `${BASE}agents:\n  a: { auth: { apiKey: "sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" } }\n  b: { auth: { apiKey: "sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" } }\n`,
      ['p.yaml:4:14: the agents "a" and "b" have the same credential'],
    ],
    [
      'tokens for whomever',
      `${BASE}identity: { jwt: [{ issuer: "https://id", jwks: k.json, algorithms: [EdDSA] }] }\n`,
      ['p.yaml:2:19: which tokens are for this gate? Say "audience", or "publicUrl" under listen'],
    ],
    [
      'a public address with a path',
      `${BASE}listen: { publicUrl: "https://gate.example/mcp" }\n`,
      ['p.yaml:2:22: not the address of a host: write "https://gate.example", without a path'],
    ],
    [
      'a public address with another spelling',
      `${BASE}listen: { publicUrl: "https://Gate.example:443" }\n`,
      ['p.yaml:2:22: not the address of a host: write "https://gate.example", without a path'],
    ],
    [
      'a public address without protection',
      `${BASE}listen: { publicUrl: "http://gate.example" }\n`,
      ['p.yaml:2:22: clients reach the gate over https, or over http on this machine'],
    ],
    [
      'a scope of two words',
      `${BASE}identity: { jwt: [{ issuer: i, audience: a, jwks: k, algorithms: [EdDSA], scopes: ["a b"] }] }\n`,
      ['p.yaml:2:84: "scopes[0]": not a scope: a word without spaces, quotation marks and backslashes'],
    ],
    [
      'a scope that would end its quotation',
      `${BASE}identity: { jwt: [{ issuer: i, audience: a, jwks: k, algorithms: [EdDSA] }] }\nagents:\n  a: { auth: { jwt: { sub: s, claims: { scope: 'x"' } } } }\n`,
      ['p.yaml:4:48: not a list of scopes'],
    ],
    [
      'a proof that is perhaps needed',
      `${BASE}identity: { jwt: [{ issuer: i, audience: a, jwks: k, algorithms: [EdDSA], dpop: maybe }] }\n`,
      ['p.yaml:2:81: "dpop": must be one of required, accepted'],
    ],
    [
      'a process that nothing starts',
      `${BASE}agents:\n  a: { root: false, auth: process }\n`,
      ['p.yaml:3:27: no server is the agent "a": say "agent: a" of the one that is started for it'],
    ],
    [
      'a process somewhere else',
      `${BASE}agents:\n  a: { root: false, auth: process }\nservers:\n  s: { http: { url: "https://s" }, agent: a }\n`,
      ['p.yaml:5:43: only a stdio server is a process that the gate starts'],
    ],
    [
      'an agent that is two processes',
      `${BASE}agents:\n  a: { root: false, auth: process }\nservers:\n  s: { stdio: { command: c, era: both }, agent: a }\n`,
      ['p.yaml:5:34: an agent that is a process is one process: say "legacy" or "modern", or leave it to be found out'],
    ],
    [
      'a process that starts chains of its own',
      `${BASE}agents:\n  a: { auth: process }\nservers:\n  s: { stdio: { command: c }, agent: a }\n`,
      ['p.yaml:5:38: the agent "a" works for others: say "root: false" of it'],
    ],
    [
      'guesses about whoever is not a process of ours',
      `${BASE}agents:\n  a: { auth: local, withoutToken: infer }\n`,
      ['p.yaml:3:35: only of a process that the gate started it is known what it works on: say "auth: process"'],
    ],
    [
      'a way to prove oneself that there is not',
      `${BASE}agents:\n  a: { auth: spawned }\n`,
      [
        'p.yaml:3:14: "auth": an agent proves itself with local, process, or one of { apiKey }, { jwt }, { proofKey } and { spki }',
      ],
    ],
    [
      'a key that is no thumbprint',
      `${BASE}agents:\n  a: { auth: { proofKey: "sha256:abc" } }\n`,
      ['p.yaml:3:26: "proofKey": not the thumbprint of a key: 43 characters'],
    ],
    [
      'two ways to prove oneself',
      `${BASE}agents:\n  a: { auth: { proofKey: ${'A'.repeat(43)}, apiKey: "sha256:${'A'.repeat(43)}" } }\n`,
      ['p.yaml:3:14: an agent proves itself in exactly one way: apiKey or jwt or proofKey or spki'],
    ],
    [
      'a pin that is none',
      `${BASE}${TLS}agents:\n  a: { auth: { spki: "AA:BB" } }\n`,
      ['p.yaml:4:22: "spki": not the pin of a key: write "sha256:" and 43 characters'],
    ],
    [
      'three pins',
      `${BASE}${TLS}agents:\n  a: { auth: { spki: [${pinOf('A')}, ${pinOf('B')}, ${pinOf('C')}] } }\n`,
      ['p.yaml:4:22: "spki": one pin, or two while the key is exchanged'],
    ],
    [
      'one pin twice',
      `${BASE}${TLS}agents:\n  a: { auth: { spki: [${pinOf('A')}, ${pinOf('A')}] } }\n`,
      ['p.yaml:4:14: the agent "a" has the same credential twice'],
    ],
    [
      'two agents with one pin',
      `${BASE}${TLS}agents:\n  a: { auth: { spki: [${pinOf('A')}, ${pinOf('B')}] } }\n  b: { auth: { spki: ${pinOf('B')} } }\n`,
      ['p.yaml:5:14: the agents "a" and "b" have the same credential'],
    ],
    [
      'certificates without TLS',
      `${BASE}agents:\n  a: { auth: { spki: ${pinOf('A')} } }\n`,
      ['p.yaml:3:22: a certificate is shown over TLS: name "tls" under listen'],
    ],
    ['TLS with half of what it needs', `${BASE}listen: { tls: { cert: c.pem } }\n`, ['p.yaml:2:16: "key": is missing']],
    [
      'TLS that clients do not see',
      `${BASE}listen: { publicUrl: "http://localhost", tls: { cert: c, key: k } }\n`,
      ['p.yaml:2:22: with "tls" nothing but https is spoken: clients reach the gate so'],
    ],
    [
      'two agents with one key',
      `${BASE}agents:\n  a: { auth: { proofKey: ${'A'.repeat(43)} } }\n  b: { auth: { proofKey: ${'A'.repeat(43)} } }\n`,
      ['p.yaml:4:14: the agents "a" and "b" have the same credential'],
    ],
    [
      'a token of nobody',
      `${BASE}agents:\n  a: { auth: { jwt: { sub: s } } }\n`,
      ['p.yaml:3:21: no issuer is trusted: add one under identity.jwt'],
    ],
    [
      'facts about no server',
      `${BASE}${ONE_FS}facts:\n  sf: {}\n`,
      ['p.yaml:4:3: there is no server "sf" (did you mean fs?)'],
    ],
    [
      'groups with members that do not exist',
      `${BASE}${ONE_FS}groups:\n  g: [sf/x, x]\n`,
      [
        'p.yaml:4:7: there is no server "sf" (did you mean fs?)',
        'p.yaml:4:13: "x" does not name a tool or a method: write server/tool or server:method',
      ],
    ],
    [
      'a fact of no kind',
      `${BASE}${ONE_FS}facts: { fs: { "*": { p: { kind: pth, from: [/a] } } } }\n`,
      ['p.yaml:3:34: "kind": the kind of a fact is path, url, bytes or count'],
    ],
    [
      'patterns and roots that can never match',
      `${BASE}${ONE_FS}facts: { fs: { "*": { p: { kind: path, from: [/a], roots: { w: srv }, classes: { c: [".env"] } } } } }\n`,
      [
        'p.yaml:3:64: a root of this fact is an absolute path without ".."',
        'p.yaml:3:86: a pattern for absolute paths begins with "/" or "**/": this one can never match',
      ],
    ],
    [
      'a fact of a method that is not governed',
      `${BASE}${ONE_FS}facts: { fs: { ":resources/red": { w: { kind: url, from: [/uri] } } } }\n`,
      ['p.yaml:3:16: there is no governed method "resources/red" (did you mean :resources/read?)'],
    ],
    [
      'a group with methods that are not governed',
      `${BASE}${ONE_FS}groups: { g: ["fs:resources/reed", "fs:tools/call", "sf:roots/list"] }\n`,
      [
        'p.yaml:3:15: there is no governed method "resources/reed" (did you mean fs:resources/read?)',
        'p.yaml:3:36: "fs:tools/call" does not name a tool or a method: write server/tool or server:method',
        'p.yaml:3:53: there is no server "sf" (did you mean fs?)',
      ],
    ],
    [
      'a fact that rules could not name',
      `${BASE}${ONE_FS}facts: { fs: { "*": { has: { kind: bytes, from: [/a] } } } }\n`,
      ['p.yaml:3:23: has: this name is reserved in the rule language'],
    ],
  ])('refuses %s at its place', (_, text, problems) => {
    expect(problemsOf(text)).toEqual(problems);
  });

  it.each(['approvals', 'budgets', 'lineage', 'pin', 'sandbox'])('says that "%s" is not supported yet', (key) => {
    expect(problemsOf(`${BASE}${key}: {}\n`)).toEqual([
      `p.yaml:2:1: "${key}" is not supported yet: this version does not enforce it, so it refuses it`,
    ]);
  });

  it.each<[string, string, RegExp]>([
    ['a header', 'http: { url: "https://h", headers: { Authorization: "Bearer x" } }', /comes from the environment/],
    ['a URL', 'http: { url: "https://u:p@h/" }', /user name or password is a secret/],
    ['a variable', 'stdio: { command: a, env: { set: { GITHUB_TOKEN: x } } }', /looks like a secret/],
  ])('refuses a secret written into %s', (_, server, message) => {
    expect(problemsOf(`${BASE}servers: { s: { ${server} } }\n`).join()).toMatch(message);
  });

  it('refuses an API key in place of its digest', () => {
    expect(problemsOf(`${BASE}agents: { a: { auth: { apiKey: hunter2 } } }\n`)).toEqual([
      'p.yaml:2:32: "apiKey": not the digest of a key: write "sha256:" and 43 characters, never the key itself',
    ]);
  });

  proves('G4', 'a manifest that names nobody and nothing is valid and allows nothing', () => {
    const result = parseManifest(BASE, 'p.yaml');
    expect(result.ok && result.manifest).toEqual({
      apiVersion: 'portcullis/v1',
      namespace: 'Portcullis',
      defaults: { permitTtlMs: 15_000 },
      agents: {},
      identity: { jwt: [] },
      listen: { hosts: [], origins: [] },
      servers: {},
      facts: {},
      groups: {},
      policies: ['policy/*.cedar'],
    });
  });

  it('reads every part that is in force', () => {
    const result = parseManifest(
      `${BASE}namespace: Acme
defaults: { permitTtlMs: 2000 }
identity:
  dpopNonce: required
  jwt:
    - { issuer: "https://id", audience: gate, jwks: "https://id/keys", algorithms: [EdDSA] }
    - { issuer: "https://id2", jwks: k.json, algorithms: [ES256], scopes: ["mcp:use"], atJwt: required, dpop: required }
listen: { http: "127.0.0.1:8787", publicUrl: "https://gate.example", hosts: [gate.example.com], origins: ["https://app.example.com"] }
agents:
  coder: { roles: [dev], auth: local }
  robot: { roles: [ci], root: false, auth: { apiKey: "${DIGEST}" } }
  cloud: { auth: { jwt: { sub: svc, issuer: "https://id", claims: { team: red } } } }
servers:
  fs: { stdio: { command: node, args: [x], cwd: /srv, env: { allow: [LANG], set: { NODE_OPTIONS: "" } } }, limits: { timeoutMs: 10 } }
  web: { http: { url: "https://h/mcp", headers: { Authorization: { env: TOKEN } } }, isolation: per-session }
facts:
  fs:
    "*": { paths: { kind: path, from: [/path, "/paths/*"], roots: { w: /srv }, classes: { s: ["**/.env*"] } } }
  web: { get: { u: { kind: url, from: [/url], allow: { docs: ["https://*.example.com"] } }, n: { kind: count, from: [/a] } } }
groups: { read: [fs/read, web/get] }
policies: [a.cedar]
`,
      'p.yaml',
    );
    expect(result.ok ? [] : result.problems).toEqual([]);
    expect(result.ok && result.manifest.servers.fs?.limits).toEqual({
      timeoutMs: 10,
      outputBytes: 1_048_576,
    });
    expect(result.ok && Object.values(result.manifest.servers).map(({ isolation }) => isolation)).toEqual([
      'shared',
      'per-session',
    ]);
  });
});
