// What portcullis.yaml may say, key by key. Strict: an unknown key is refused, and so is what the gate does not enforce yet. That names exist
// and that no secret is written down is manifest-checks.ts; reading a text is parse-manifest.ts. docs/formats/manifest.md is the reference.

import { z } from 'zod';
import { isDigest } from '../../domain/digest.ts';
import type { Json } from '../../domain/json.ts';
import {
  ACTIONS_PER_GRANT_MAX,
  GRANTS_MAX,
  LIMITS_PER_GRANT_MAX,
  readScope,
  VALUES_PER_LIMIT_MAX,
} from '../lineage/scope.ts';
import {
  CALL_CONCURRENCY_MAX,
  CALL_OUTPUT_BYTES_DEFAULT,
  CALL_OUTPUT_BYTES_MAX,
  CALL_TIMEOUT_MS_DEFAULT,
  CALL_TIMEOUT_MS_MAX,
  CANCEL_GRACE_MS_MAX,
  IDLE_TIMEOUT_MS_MIN,
  PERMIT_TTL_MS_DEFAULT,
  PERMIT_TTL_MS_MAX,
  PERMIT_TTL_MS_MIN,
} from './limits.ts';
import { ANOMALIES, HISTORY } from './manifest-behaviour.ts';
import { SANDBOX_SCHEMA } from './sandbox.ts';

const name = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, 'a name has 1 to 64 letters, digits, "_", "-" or "."');

const serverName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'the name of a server has 1 to 64 letters, digits, "_" or "-"')
  .refine(
    (text) => !text.includes('__') && !text.endsWith('_'),
    'the name of a server has no "__" and no "_" at its end: "__" separates server and tool',
  );

/** Words of the rule language that cannot follow a dot. */
const RESERVED = ['true', 'false', 'if', 'then', 'else', 'in', 'is', 'like', 'has'];

const identifier = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_]{0,63}$/,
    'this name has 1 to 64 letters, digits or "_" and does not begin with a digit',
  )
  .refine((text) => !RESERVED.includes(text) && !text.startsWith('__'), 'this name is reserved in the rule language');

const text = z.string().min(1).max(4096);
const environmentName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'not the name of an environment variable');

const pointer = z.string().regex(/^(\/([^~/]|~[01])+)+$/, 'not a JSON pointer: write "/path", "/files/*/path"');

const apiKeyDigest = z
  .string()
  .refine(isDigest, 'not the digest of a key: write "sha256:" and 43 characters, never the key itself');

/** Digest of a public key as a certificate has it. */
const pin = z.string().refine(isDigest, 'not the pin of a key: write "sha256:" and 43 characters');

/** RFC 7638. */
const thumbprint = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'not the thumbprint of a key: 43 characters');

const auth = z.union(
  [
    z.enum(['local', 'process']),
    z.strictObject({
      apiKey: apiKeyDigest.optional(),
      jwt: z
        .strictObject({
          sub: text,
          issuer: text.optional(),
          claims: z.record(z.string().min(1), text).optional(),
          /** The key that its tokens are bound to. */
          proofKey: thumbprint.optional(),
        })
        .optional(),
      /** A key that is proved by itself, without a token. */
      proofKey: thumbprint.optional(),
      /** Pins of the key of its certificate: one, or while that is exchanged the old and the new one. */
      spki: z
        .union([pin, z.array(pin).min(1).max(2)], { error: 'one pin, or two while the key is exchanged' })
        .transform((pins) => (typeof pins === 'string' ? [pins] : pins))
        .optional(),
    }),
  ],
  { error: 'an agent proves itself with local, process, or one of { apiKey }, { jwt }, { proofKey } and { spki }' },
);

const limitsOf = <T extends z.ZodType>(limit: T) =>
  z.record(pointer, limit).refine((limits) => Object.keys(limits).length <= LIMITS_PER_GRANT_MAX, 'too many limits');

const grant = z
  .strictObject({
    server: serverName,
    actions: z.array(z.string().min(1).max(256)).max(ACTIONS_PER_GRANT_MAX),
    under: limitsOf(z.array(text).max(VALUES_PER_LIMIT_MAX)).optional(),
    in: limitsOf(z.array(z.string()).max(VALUES_PER_LIMIT_MAX)).optional(),
    max: limitsOf(z.number()).optional(),
  })
  .refine(
    (one) => readScope([one as unknown as Json]) !== undefined,
    'a root under which a path may lie is absolute and has no ".."',
  );

/** Each is a text in every token of the agent. */
const PEERS_PER_AGENT_MAX = 8;

const agent = z.strictObject({
  roles: z.array(name).default([]),
  root: z.boolean().default(true),
  auth,
  /** What becomes of a call that does not say which one it belongs to. */
  withoutToken: z.enum(['deny', 'infer', 'root']).optional(),
  /** What a chain that it starts may do at most. */
  scope: z.array(grant).max(GRANTS_MAX).optional(),
  /** Other gates at which it may call for what it was called for here. */
  peers: z.array(name).max(PEERS_PER_AGENT_MAX).optional(),
});

/** Another gate, with keys and rules of its own. */
const peer = z.strictObject({
  issuer: z.string().regex(/^[\x21-\x7e]{1,256}$/, 'not an issuer: portcullis keys prints it there'),
  key: z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'not a public key: portcullis keys prints it there'),
  /** Where we dial it; absent where it dials us. */
  url: text.optional(),
});

/** RFC 6749: neither a space nor a quotation mark nor a backslash. */
export const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/;
const scope = z.string().regex(SCOPE, 'not a scope: a word without spaces, quotation marks and backslashes');

const privateNetwork = z.literal('private', { error: 'the only network to be named is "private"' });

const jwtIssuer = z.strictObject({
  issuer: text,
  /** Where it is absent, tokens are for the address under which the gate is reached. */
  audience: text.optional(),
  jwks: text,
  /** The name in the address of the keys belongs to a private network. */
  network: privateNetwork.optional(),
  scopes: z.array(scope).max(32).default([]),
  atJwt: z.enum(['required', 'accepted']).default('accepted'),
  /** Tokens that are bound to a key are accepted with their proof in any case; saying so advertises it. */
  dpop: z.enum(['required', 'accepted']).optional(),
  algorithms: z
    .array(z.enum(['EdDSA', 'Ed25519', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'RS256']))
    .min(1),
});

const listen = z.strictObject({
  http: z
    .string()
    .regex(/^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, 'not an address: write HOST:PORT')
    .optional(),
  /** Scheme, host and port under which clients reach the gate. */
  publicUrl: text.optional(),
  /** Files, as PEM. Where they are named, nothing but TLS is spoken. */
  tls: z.strictObject({ cert: text, key: text }).optional(),
  hosts: z.array(text).default([]),
  origins: z.array(text).default([]),
});

const limits = z.strictObject({
  timeoutMs: z.int().min(1).max(CALL_TIMEOUT_MS_MAX).default(CALL_TIMEOUT_MS_DEFAULT),
  outputBytes: z.int().min(1).max(CALL_OUTPUT_BYTES_MAX).default(CALL_OUTPUT_BYTES_DEFAULT),
  concurrency: z.int().min(1).max(CALL_CONCURRENCY_MAX).optional(),
  /** For how long a tool may show no progress. */
  idleTimeoutMs: z.int().min(IDLE_TIMEOUT_MS_MIN).max(CALL_TIMEOUT_MS_MAX).optional(),
  /** What a cancelled call gets before nobody waits for it any more. */
  cancelGraceMs: z.int().min(1).max(CANCEL_GRACE_MS_MAX).optional(),
});

const oauth = z.strictObject({
  grant: z.enum(['authorization_code', 'client_credentials']).default('authorization_code'),
  /** As registered with the issuer beforehand. */
  clientId: text.optional(),
  clientSecretEnv: environmentName.optional(),
  /** PKCS #8 as PEM, for private_key_jwt. */
  privateKeyEnv: environmentName.optional(),
  algorithm: z.enum(['ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'RS256']).optional(),
  clientMetadataUrl: text.optional(),
  scopes: z.array(scope).min(1).max(32).optional(),
  issuer: text.optional(),
  /** Only tokens that are bound to a key of the gate. */
  dpop: z.literal('required').optional(),
  /** Whose the tokens are: the gate's own for everybody, or one for each agent. */
  holder: z.enum(['gate', 'agent']).optional(),
});

/** A bearer token from the environment. */
const bearer = z.strictObject({ env: environmentName });

const headers = z.record(
  z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'not the name of a header'),
  z.strictObject(
    { env: environmentName },
    { error: 'the value of a header comes from the environment: write { env: NAME }' },
  ),
);

/** One in use, one put by, and both of the next exchange. */
const REMOTE_PINS_MAX = 4;

const remote = z.strictObject({
  url: text,
  auth: bearer.optional(),
  /** Tokens of our own from the server's authorization server. */
  oauth: oauth.optional(),
  headers: headers.default({}),
  /** Its name belongs to a private network, or to this machine. */
  network: privateNetwork.optional(),
  /** Pins of its key: the one it has and those that it will have. */
  pins: z.array(pin).min(1).max(REMOTE_PINS_MAX).optional(),
});

/** What each process of a server may use at most. Below the first number no interpreter starts; above the other it is a slip of the pen. */
const resources = z.strictObject({
  memoryMb: z.int().min(16).max(1_048_576).optional(),
  files: z.int().min(16).max(1_048_576).optional(),
  processes: z.int().min(1).max(1_048_576).optional(),
  fileSizeMb: z.int().min(1).max(1_048_576).optional(),
  cpuSeconds: z.int().min(1).max(31_536_000).optional(),
});

/** Which of the protocol's eras are tried with a server; found out when absent. */
const era = z.enum(['auto', 'legacy', 'modern', 'both']).optional();

const server = z.strictObject({
  stdio: z
    .strictObject({
      command: text,
      args: z.array(z.string().max(4096)).default([]),
      cwd: text.optional(),
      env: z
        .strictObject({
          allow: z.array(environmentName).default([]),
          set: z.record(environmentName, z.string().max(4096)).default({}),
        })
        .prefault({}),
      era,
      resources: resources.optional(),
    })
    .optional(),
  http: remote.extend({ era }).optional(),
  sse: remote.optional(),
  ws: remote.extend({ era }).optional(),
  /** Functions of the program that opens the gate. */
  inProcess: z.strictObject({}).optional(),
  /** Whether all conversations share one process or connection, or each gets its own, or each chain of calls. */
  isolation: z.enum(['shared', 'per-session', 'per-root']).default('shared'),
  /** What becomes of its calls that run when other rules come into force: they are cancelled where it does not say. */
  onPolicyChange: z.enum(['cancel', 'finish']).optional(),
  /** The agent that it is: it calls others here, on behalf of whatever it is called for. */
  agent: name.optional(),
  /** What the process sees and reaches; absent, it does what its user may. */
  sandbox: SANDBOX_SCHEMA.optional(),
  limits: limits.prefault({}),
  /** Whether a call may be made again of which nobody knows whether it ran; not where this is absent. */
  retryAfterUnknown: z.enum(['deny', 'allow']).optional(),
});

const pointers = z.array(pointer).min(1).max(32);

const fact = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({
      kind: z.literal('path'),
      from: pointers,
      relative: z.boolean().default(false),
      roots: z.record(name, text).default({}),
      classes: z.record(name, z.array(text).min(1)).default({}),
    }),
    z.strictObject({ kind: z.literal('url'), from: pointers, allow: z.record(name, z.array(text).min(1)).default({}) }),
    z.strictObject({ kind: z.literal('bytes'), from: pointers }),
    z.strictObject({ kind: z.literal('count'), from: pointers }),
  ],
  { error: 'the kind of a fact is path, url, bytes or count' },
);

export const MANIFEST_SCHEMA = z.strictObject({
  apiVersion: z.literal('portcullis/v1', { error: 'begin with "apiVersion: portcullis/v1", the only version' }),
  namespace: identifier.default('Portcullis'),
  defaults: z
    .strictObject({
      // Nothing else can be said; a manifest may say it for its readers.
      decision: z.literal('deny', { error: 'without a rule the decision is always deny' }).optional(),
      permitTtlMs: z.int().min(PERMIT_TTL_MS_MIN).max(PERMIT_TTL_MS_MAX).default(PERMIT_TTL_MS_DEFAULT),
    })
    .prefault({}),
  agents: z.record(name, agent).default({}),
  /** Who may take authority away over HTTP. */
  operators: z.record(name, z.strictObject({ apiKey: apiKeyDigest })).optional(),
  identity: z
    .strictObject({
      jwt: z.array(jwtIssuer).default([]),
      /** A nonce of ours in every proof, so that none can be made in advance; one that comes is checked in any case. */
      dpopNonce: z.enum(['required', 'accepted']).optional(),
    })
    .prefault({}),
  listen: listen.prefault({}),
  servers: z.record(serverName, server).default({}),
  peers: z.record(name, peer).optional(),
  facts: z.record(z.string(), z.record(z.string().min(1), z.record(identifier, fact))).default({}),
  groups: z.record(name, z.array(z.string())).default({}),
  anomalies: ANOMALIES.optional(),
  history: HISTORY.optional(),
  policies: z.array(text).min(1).default(['policy/*.cedar']),
});

/** A manifest in force. Each of `servers` has exactly one of `stdio`, `http`, `sse`, `ws` and `inProcess`; every reference exists. */
export type Manifest = z.output<typeof MANIFEST_SCHEMA>;
/** The same as it is written. */
export type ManifestInput = z.input<typeof MANIFEST_SCHEMA>;
export type ManifestServer = Manifest['servers'][string];
/** A server somewhere else, whatever is spoken with it. */
export type ManifestRemote = z.output<typeof remote>;
export type ManifestAgent = Manifest['agents'][string];
export type ManifestPeer = z.output<typeof peer>;
export type FactSpec = z.output<typeof fact>;
