// What each key of portcullis.yaml means, in a sentence, for editors and whoever reads the schema. The one place of these sentences; what a key may
// hold is manifest.ts, and docs/formats/manifest.md says more. Nothing here is loaded by a gate.

/**
 * By path: `*` stands for a name, `[]` for an element of a list, and REMOTE for `http`, `sse` and `ws` alike. A test holds this to the keys that there
 * are: none is missing, none is too many.
 */
export const MANIFEST_WORDS: Readonly<Record<string, string>> = {
  apiVersion: 'The version of this format: portcullis/v1.',
  namespace: 'Namespace of the entities in rules: Portcullis::Role::"dev".',
  defaults: 'What holds where nothing else is said.',
  'defaults.decision': 'For readers of the file: without a rule the decision is always deny.',
  'defaults.permitTtlMs': 'Life of a permit in milliseconds; whole seconds count.',

  agents: 'Who may call, by name.',
  'agents.*.roles': 'What rules may ask for: principal in Portcullis::Role::"NAME".',
  'agents.*.root':
    'Whether it may start a chain of calls. One that may not calls on behalf of a call that it carries out.',
  'agents.*.auth':
    'How it proves itself: local (whoever runs the gate on this machine), process (a server that the gate started), or exactly one of apiKey, jwt, proofKey and spki.',
  'agents.*.auth.apiKey':
    'Digest of its key, never the key: sha256: and 43 characters. portcullis keys --new-api-key makes one.',
  'agents.*.auth.jwt': 'It presents a token with this subject and these claims.',
  'agents.*.auth.jwt.sub': 'The claim sub, exactly.',
  'agents.*.auth.jwt.issuer': 'Whose token it is; required when several issuers are trusted.',
  'agents.*.auth.jwt.claims': 'Claims that the token must have. Of the claim scope the token needs every word.',
  'agents.*.auth.jwt.proofKey': 'Thumbprint (RFC 7638) of the key that its tokens are bound to.',
  'agents.*.auth.proofKey':
    'Thumbprint (RFC 7638) of the key that it proves with every request. portcullis keys --of FILE prints it.',
  'agents.*.auth.spki':
    'Pin of the key of its certificate, or two while it is exchanged. portcullis keys --of FILE prints it. Needs listen.tls.',
  'agents.*.withoutToken':
    'What becomes of a call that does not show which call it belongs to: deny, root (it starts a chain), or infer (with auth: process).',
  'agents.*.scope': 'What a chain that it starts may do at most, as a list of grants.',
  'agents.*.scope[].server': 'The server that the grant is for.',
  'agents.*.scope[].actions': 'Names of tools, methods written as :METHOD, or * for everything.',
  'agents.*.scope[].under': 'By JSON pointer into the arguments: folders under which the path there must lie.',
  'agents.*.scope[].in': 'By JSON pointer into the arguments: the texts of which it must be one.',
  'agents.*.scope[].max': 'By JSON pointer into the arguments: the number that it may be at most.',
  'agents.*.peers': 'Other gates, by their names under peers, at which it may call for what it was called for here.',

  operators: 'Who may revoke, halt, resume and settle over HTTP, by name.',
  'operators.*.apiKey':
    'Digest of a key that no agent has: sha256: and 43 characters. portcullis keys --new-api-key makes one.',

  identity: 'Whose word about agents is believed.',
  'identity.jwt': 'Issuers whose tokens are believed.',
  'identity.jwt[].issuer': 'The claim iss, exactly.',
  'identity.jwt[].audience': 'The claim aud of tokens for this gate; otherwise listen.publicUrl and /mcp.',
  'identity.jwt[].jwks': 'Its keys: an https address, http on this machine, or a file.',
  'identity.jwt[].network': 'private: the name in jwks belongs to a private network or to this machine.',
  'identity.jwt[].scopes': 'What every token must have been granted.',
  'identity.jwt[].atJwt': 'required: the type of a token must be at+jwt (RFC 9068).',
  'identity.jwt[].dpop':
    'required: only tokens that are bound to a key (RFC 9449). accepted says that they are welcome.',
  'identity.jwt[].algorithms': 'The algorithms of signatures that are accepted.',
  'identity.dpopNonce': 'required: every proof of possession needs a nonce of this gate.',

  listen: 'How the gate is reached over HTTP.',
  'listen.http': 'HOST:PORT to listen on; --http of serve goes before it.',
  'listen.publicUrl': 'Scheme, host and port under which clients reach the gate, without a path: https://gate.example.',
  'listen.tls': 'With it nothing but TLS 1.3 is spoken.',
  'listen.tls.cert': 'PEM file with the certificate and its chain, relative to this file.',
  'listen.tls.key': 'PEM file with the private key, relative to this file.',
  'listen.hosts': 'Further names under which the gate is reached (the Host header).',
  'listen.origins': 'Web origins that may call the gate.',

  servers: 'The tool servers behind the gate, by name. Each has exactly one of stdio, http, sse, ws and inProcess.',
  'servers.*.stdio': 'A process that the gate starts.',
  'servers.*.stdio.command': 'The program: a path, or a name that is looked for in PATH. No shell reads it.',
  'servers.*.stdio.args': 'Its arguments, one by one.',
  'servers.*.stdio.cwd': 'The folder that it is started in, relative to this file.',
  'servers.*.stdio.env': 'The variables that it gets beside a short list that every process gets.',
  'servers.*.stdio.env.allow': 'Variables of the gate that are passed on, by name. The way for secrets.',
  'servers.*.stdio.env.set': 'Variables with their values. Names that look like secrets are refused.',
  'servers.*.stdio.era': 'Which revisions of the protocol are tried with it; found out where absent.',
  'servers.*.stdio.resources': 'What each of its processes may use at most.',
  'servers.*.stdio.resources.memoryMb': 'Private memory that can be written, in MiB.',
  'servers.*.stdio.resources.files': 'Open descriptors.',
  'servers.*.stdio.resources.processes': 'Processes and threads of the server together.',
  'servers.*.stdio.resources.fileSizeMb': 'The largest file that it can write, in MiB.',
  'servers.*.stdio.resources.cpuSeconds': 'Processor time in seconds.',
  'servers.*.http': 'A server that speaks Streamable HTTP.',
  'servers.*.sse': 'A server of 2024-11-05 that answers on a stream of events (HTTP+SSE).',
  'servers.*.ws': 'A server on a WebSocket.',
  'servers.*.REMOTE.url': 'Its address, without user name and password.',
  'servers.*.REMOTE.auth': 'A variable of the gate is sent as bearer token.',
  'servers.*.REMOTE.auth.env': 'The name of the variable.',
  'servers.*.REMOTE.oauth':
    "The gate gets tokens of its own from the server's authorization server. {} is enough for most.",
  'servers.*.REMOTE.oauth.grant':
    'authorization_code: an operator consents once (portcullis login SERVER). client_credentials: nobody has to.',
  'servers.*.REMOTE.oauth.clientId': 'The client as it was registered with the issuer.',
  'servers.*.REMOTE.oauth.clientSecretEnv': "The variable with the client's secret. Needs issuer.",
  'servers.*.REMOTE.oauth.privateKeyEnv':
    "The variable with the client's private key (PKCS #8, PEM). Needs issuer and algorithm.",
  'servers.*.REMOTE.oauth.algorithm': 'What the client signs with its private key.',
  'servers.*.REMOTE.oauth.clientMetadataUrl': 'The https address of a client metadata document.',
  'servers.*.REMOTE.oauth.scopes': 'Exactly these are asked for.',
  'servers.*.REMOTE.oauth.issuer': 'The only authorization server that will do.',
  'servers.*.REMOTE.oauth.dpop': 'required: only tokens that are bound to a key of the gate (RFC 9449).',
  'servers.*.REMOTE.oauth.holder':
    'gate: one token for everybody. agent: each agent has its own (isolation: per-session).',
  'servers.*.REMOTE.headers': 'Headers whose values are variables of the gate: Name: { env: VARIABLE }.',
  'servers.*.REMOTE.headers.*.env': 'The name of the variable with the value of the header.',
  'servers.*.REMOTE.network': 'private: the name in url belongs to a private network or to this machine.',
  'servers.*.REMOTE.pins': "Digests of the server's public keys: the one in use and those of the next exchange.",
  'servers.*.REMOTE.era': 'Which revisions of the protocol are tried with it; found out where absent.',
  'servers.*.inProcess': 'Functions of the program that opens the gate.',
  'servers.*.isolation':
    'shared: one process or connection for everybody. per-session: one for each conversation. per-root: one for each chain of calls.',
  'servers.*.onPolicyChange':
    'What becomes of its calls that run when other rules come into force: cancel (the default) or finish.',
  'servers.*.agent': 'The agent that this server is, when it calls others on behalf of what it is called for.',
  'servers.*.sandbox': 'What its process sees and reaches; without it, it does what its user may.',
  'servers.*.sandbox.read':
    'Files and folders that it may read beside its own program: absolute, ~/..., or relative to this file.',
  'servers.*.sandbox.write': 'Files and folders that it may read and write.',
  'servers.*.sandbox.net': 'none: it reaches nobody. { allow: [HOST, ...] }: it reaches these.',
  'servers.*.sandbox.net.allow': 'api.example.com, *.example.com, 192.0.2.7:8443; port 443 where none is named.',
  'servers.*.limits': 'Bounds for its calls.',
  'servers.*.limits.timeoutMs': 'The time of a tool to answer, in milliseconds.',
  'servers.*.limits.outputBytes': 'The largest answer, in bytes.',
  'servers.*.limits.concurrency': 'So many calls are with it at once, over all sessions that share it.',
  'servers.*.limits.idleTimeoutMs': 'For how long a tool may show no progress, in milliseconds.',
  'servers.*.limits.cancelGraceMs': 'How long a call that was cancelled may still answer, in milliseconds.',
  'servers.*.retryAfterUnknown':
    'Whether a call may be made again of which nobody knows whether it ran: deny (a person looks first) or allow.',

  peers: 'Other gates, with keys and rules of their own, at which chains of calls may go on.',
  'peers.*.issuer': 'Its issuer, as portcullis keys prints it there.',
  'peers.*.key': 'Its public key, as portcullis keys prints it there.',
  'peers.*.url': 'Where this gate dials it (wss, path /peer); absent where it dials this one.',

  facts: 'What rules know beyond the arguments: SERVER, then TOOL or "*" or ":METHOD", then the name of the fact.',
  'facts.*.*.*.kind': 'path, url, bytes or count.',
  'facts.*.*.*.from': 'JSON pointers into the arguments; * stands for every element of a list.',
  'facts.*.*.*.relative': 'Paths are names inside something else, such as a repository: no link is followed.',
  'facts.*.*.*.roots': 'Folders by name; context.facts.FACT.within has those that contain all paths.',
  'facts.*.*.*.classes': 'Patterns by name; context.facts.FACT.touches has those that any path falls into.',
  'facts.*.*.*.allow': 'Addresses by name; context.facts.FACT.within has those that contain all addresses.',

  groups: 'Names for sets of tools and methods: [server/tool, "server:method"].',

  anomalies: 'From when on an agent or a server is set aside until a person lifts it.',
  'anomalies.agents': 'So many within the window set an agent aside.',
  'anomalies.agents.windowMs': 'The window in milliseconds.',
  'anomalies.agents.denials': 'Calls that were denied.',
  'anomalies.agents.errors': 'Calls that ended with an error.',
  'anomalies.agents.timeouts': 'Calls that took too long.',
  'anomalies.servers': 'So many within the window set a server aside.',
  'anomalies.servers.windowMs': 'The window in milliseconds.',
  'anomalies.servers.denials': 'What it asked of clients and was denied.',
  'anomalies.servers.errors': 'Calls of it that ended with an error.',
  'anomalies.servers.timeouts': 'Calls of it that took too long.',
  'anomalies.servers.restarts': 'Starts of its process beyond the first.',

  history: 'Rules may ask what was done before: context.history.',
  'history.used':
    'Groups of which rules may ask whether something was used lately, and for how many milliseconds that counts.',

  policies: 'Files with rules, relative to this file; * stands for any name.',
};
