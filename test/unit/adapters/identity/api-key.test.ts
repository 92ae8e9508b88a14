import { describe, expect, it } from 'vitest';
import { connectionDigest } from '../../../../adapters/identity/agent.ts';
import {
  type ApiKeyAgent,
  apiKeyDigest,
  authenticateApiKey,
  generateApiKey,
} from '../../../../adapters/identity/api-key.ts';
import { HttpAuthenticator } from '../../../../adapters/identity/authenticator.ts';
import { localPrincipal } from '../../../../adapters/identity/local.ts';
import { proves } from '../../../guarantees.ts';

const one = generateApiKey();
const two = generateApiKey();
const agents: ApiKeyAgent[] = [
  { agent: 'coder', roles: ['developer'], root: true, apiKey: one.digest },
  { agent: 'reviewer', roles: [], root: false, apiKey: two.digest },
];
const POST = { method: 'POST', url: 'https://gate.example/mcp' };
const now = () => 0;
const resource = { servers: [], scopes: [], scopesSupported: [], bearer: true, dpop: false };
const { authenticate } = new HttpAuthenticator(
  {
    apiKeys: agents,
    issuers: [],
    jwts: [],
    proofKeys: [],
    pinned: [],
    resource,
    urlIsAudience: false,
    nonceRequired: false,
  },
  now,
);

describe('a request over HTTP', () => {
  const refused: [string, string | undefined][] = [
    ['without a credential', undefined],
    ['with an empty credential', ''],
    ['with a scheme alone', 'Bearer '],
    ['with a key but no scheme', one.key],
    ['with another scheme', `Basic ${one.key}`],
    ['with two spaces', `Bearer  ${one.key}`],
    ['with something after the key', `Bearer ${one.key} x`],
    ['with two credentials', `Bearer ${one.key}, Bearer ${two.key}`],
    ['with a line feed after the key', `Bearer ${one.key}\n`],
    ['with a key that nobody has', `Bearer ${generateApiKey().key}`],
    ['with a key cut short', `Bearer ${one.key.slice(0, -1)}`],
    ['with a longer key', `Bearer ${one.key}A`],
    ['with a key in another case', `Bearer ${one.key.toUpperCase()}`],
    ['with the digest in the place of the key', `Bearer ${one.digest}`],
    ['with the prefix alone', 'Bearer pck_'],
    ['with a megabyte', `Bearer ${'A'.repeat(1_048_576)}`],
    ['with a token where no issuer is configured', 'Bearer eyJhbGciOiJub25lIn0.e30.'],
  ];

  for (const [how, authorization] of refused) {
    proves('G4', `${how} is nobody's`, async () => {
      expect(await authenticate({ ...POST, authorization })).toMatchObject({ code: 'ID_UNAUTHENTICATED' });
    });
  }

  it('with a key is the agent’s to whom the key belongs', async () => {
    expect(await authenticate({ ...POST, authorization: `Bearer ${two.key}` })).toEqual({
      agent: 'reviewer',
      roles: [],
      root: false,
      authentication: 'api_key',
      connection: connectionDigest('api_key', two.digest),
    });
    expect(await authenticate({ ...POST, authorization: `bEARER ${one.key}` })).toMatchObject({ agent: 'coder' });
  });
});

describe('an API key', () => {
  it('is nobody’s when two agents have it', () => {
    const shared = [...agents, { agent: 'third', roles: [], root: true, apiKey: one.digest }];
    expect(authenticateApiKey(shared, one.key)).toMatchObject({ code: 'ID_UNAUTHENTICATED' });
  });

  it('appears neither in the principal nor in a refusal, nor does its digest', () => {
    for (const answer of [authenticateApiKey(agents, one.key), authenticateApiKey([], one.key)]) {
      expect(JSON.stringify(answer)).not.toContain(one.key.slice(4));
      expect(JSON.stringify(answer)).not.toContain(one.digest.slice(7));
    }
  });

  it('is never the same twice, and its digest is its own', () => {
    expect(one.key).toMatch(/^pck_[A-Za-z0-9_-]{43}$/);
    expect(new Set(Array.from({ length: 100 }, () => generateApiKey().key)).size).toBe(100);
    expect(apiKeyDigest(one.key)).toBe(one.digest);
  });
});

describe('the process that started us', () => {
  it('is who the configuration says, over a connection of its own', () => {
    const agent = { agent: 'coder', roles: ['developer'], root: true };
    const principal = localPrincipal(agent);
    expect(principal).toMatchObject({ ...agent, authentication: 'local' });
    expect(localPrincipal(agent).connection).not.toBe(principal.connection);
  });
});
