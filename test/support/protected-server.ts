// A real small authorization server and a tool server that it protects, on loopback. Each rule that a client depends on is kept, and can be
// broken one at a time by changing `behaviour`.

import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jwtVerify } from 'jose';
import { checkProof } from './proof-checks.ts';

/** What it offers, to whoever is let in. */
export const PROTECTED_TOOLS = [{ name: 'echo', inputSchema: { type: 'object' } }];

export interface AuthorizationBehaviour {
  pkce: readonly string[] | undefined;
  /** In the redirect. */
  iss: 'right' | 'wrong' | 'missing' | 'slash';
  issPromised: boolean;
  issuerInMetadata: 'right' | 'wrong';
  state: 'right' | 'wrong';
  registration: boolean;
  metadataDocuments: boolean;
  /** Answers the question for metadata with a redirect to this address. */
  redirectTo: string | undefined;
  expiresIn: number | undefined;
  refreshable: boolean;
  /** What the token endpoint answers instead of a token. */
  tokenError: { status: number; error: string } | undefined;
  tokenEndpoint: string | undefined;
  scopesSupported: readonly string[] | undefined;
  /** Which of the documents that describe an authorization server it has. */
  document: 'oauth-authorization-server' | 'openid-configuration';
  /** Algorithms of proofs of possession in the metadata. */
  proofs: readonly string[] | undefined;
  /** Whether a token asked for with a proof is bound to its key. */
  binds: boolean;
  /** What a proof has to hold at the token endpoint. */
  nonce: string | undefined;
  /** Clients that were registered beforehand, with their secrets. */
  clients: Record<string, { secret?: string; key?: KeyObject }>;
}

export interface ServerBehaviour {
  /** What the metadata calls the resource. */
  resource: string | undefined;
  /** What the challenge says about where the metadata is. */
  metadataUrl: string | undefined;
  issuers: readonly string[] | undefined;
  challenge: boolean;
  challengedScope: string | undefined;
  /** What a call needs beyond being authorised. */
  callScope: string | undefined;
  acceptsNone: boolean;
  /** A call is answered with the headers of its request. */
  repeats: boolean;
  /** Of the challenges. */
  schemes: readonly ('Bearer' | 'DPoP')[];
  /** What the metadata says about tokens that are bound to a key. */
  bound: 'required' | 'known' | undefined;
  /** What a proof has to hold now. */
  nonce: string | undefined;
}

export interface Message {
  readonly id?: number;
  readonly method: string;
  readonly params?: { readonly name?: string };
}

interface Grant {
  readonly client: string;
  readonly redirectUri: string;
  readonly challenge: string;
  readonly scope: string;
  readonly resource: string;
  /** Thumbprint of the key that its refresh token is bound to. */
  readonly jkt?: string | undefined;
}

export interface TokenRequest {
  readonly grantType: string;
  readonly parameters: URLSearchParams;
  readonly authorization: string | undefined;
  /** Thumbprint of the key that was proved. */
  readonly jkt?: string | undefined;
}

export class ProtectedWorld {
  readonly authorization: AuthorizationBehaviour = {
    pkce: ['S256'],
    iss: 'right',
    issPromised: true,
    issuerInMetadata: 'right',
    state: 'right',
    registration: true,
    metadataDocuments: false,
    redirectTo: undefined,
    expiresIn: 3_600,
    refreshable: true,
    tokenError: undefined,
    tokenEndpoint: undefined,
    scopesSupported: undefined,
    document: 'oauth-authorization-server',
    proofs: undefined,
    binds: true,
    nonce: undefined,
    clients: {},
  };
  readonly server: ServerBehaviour = {
    resource: undefined,
    metadataUrl: undefined,
    issuers: undefined,
    challenge: true,
    challengedScope: undefined,
    callScope: undefined,
    acceptsNone: false,
    repeats: false,
    schemes: ['Bearer'],
    bound: undefined,
    nonce: undefined,
  };
  readonly authorizations: URLSearchParams[] = [];
  readonly tokenRequests: TokenRequest[] = [];
  readonly registrations: Record<string, unknown>[] = [];
  /** Every `authorization` header the tool server saw, by method of the message. */
  readonly seen: {
    readonly method: string;
    readonly authorization: string | undefined;
    readonly proof?: string | undefined;
  }[] = [];
  /** Calls that ran. */
  calls = 0;
  issuer = '';
  url = '';
  readonly #codes = new Map<string, Grant>();
  readonly #refresh = new Map<string, Grant>();
  readonly #tokens = new Map<string, { scope: string; expiresAt: number; jkt: string | undefined }>();
  readonly #proofs = new Set<string>();
  readonly #servers: Server[] = [];

  async start(): Promise<this> {
    this.issuer = `${await this.#listen((request, response) => this.#authorize(request, response))}/tenant`;
    this.url = `${await this.#listen((request, response) => this.#serve(request, response))}/mcp`;
    return this;
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  /** No access token that was given is good any more; `deep`: no refresh token either. */
  revoke(deep = false): void {
    this.#tokens.clear();
    if (deep) this.#refresh.clear();
  }

  get givenTokens(): readonly string[] {
    return [...this.#tokens.keys()];
  }

  async #listen(handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>): Promise<string> {
    const server = createServer((request, response) => {
      handle(request, response).catch((error: Error) => response.writeHead(500).end(error.message));
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async #authorize(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.issuer);
    switch (url.pathname) {
      case `/.well-known/${this.authorization.document}/tenant`:
        return this.#metadata(response);
      case '/tenant/authorize':
        return this.#consent(url.searchParams, response);
      case '/tenant/token':
        return this.#token(request, new URLSearchParams(await bodyOf(request)), response);
      case '/tenant/register': {
        const registration = JSON.parse(await bodyOf(request)) as Record<string, unknown>;
        this.registrations.push(registration);
        const id = `client-${this.registrations.length}`;
        this.authorization.clients[id] = {};
        return json(response, 201, { ...registration, client_id: id, token_endpoint_auth_method: 'none' });
      }
      default:
        json(response, 404, { error: 'not_found' });
    }
  }

  #metadata(response: ServerResponse): void {
    const { behaviour, issuer } = { behaviour: this.authorization, issuer: this.issuer };
    if (behaviour.redirectTo !== undefined) {
      response.writeHead(302, { location: behaviour.redirectTo }).end();
      return;
    }
    json(response, 200, {
      issuer: behaviour.issuerInMetadata === 'right' ? issuer : 'https://issuer.example',
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: behaviour.tokenEndpoint ?? `${issuer}/token`,
      ...(behaviour.registration ? { registration_endpoint: `${issuer}/register` } : {}),
      response_types_supported: ['code'],
      ...(behaviour.document === 'openid-configuration' ? OPENID : {}),
      grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
      token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'private_key_jwt'],
      ...(behaviour.pkce === undefined ? {} : { code_challenge_methods_supported: behaviour.pkce }),
      ...(behaviour.issPromised ? { authorization_response_iss_parameter_supported: true } : {}),
      ...(behaviour.metadataDocuments ? { client_id_metadata_document_supported: true } : {}),
      ...(behaviour.proofs === undefined ? {} : { dpop_signing_alg_values_supported: behaviour.proofs }),
      ...(behaviour.scopesSupported === undefined ? {} : { scopes_supported: behaviour.scopesSupported }),
    });
  }

  #consent(asked: URLSearchParams, response: ServerResponse): void {
    this.authorizations.push(asked);
    const redirect = new URL(asked.get('redirect_uri') ?? '');
    const code = randomUUID();
    this.#codes.set(code, {
      client: asked.get('client_id') ?? '',
      redirectUri: redirect.href,
      challenge: asked.get('code_challenge') ?? '',
      scope: asked.get('scope') ?? '',
      resource: asked.get('resource') ?? '',
    });
    redirect.searchParams.set('code', code);
    redirect.searchParams.set('state', this.authorization.state === 'right' ? (asked.get('state') ?? '') : 'guessed');
    const iss = { right: this.issuer, wrong: 'https://issuer.example', slash: `${this.issuer}/`, missing: undefined };
    const given = iss[this.authorization.iss];
    if (given !== undefined) redirect.searchParams.set('iss', given);
    response.writeHead(302, { location: redirect.href }).end();
  }

  async #token(request: IncomingMessage, given: URLSearchParams, response: ServerResponse): Promise<void> {
    const grantType = given.get('grant_type') ?? '';
    const { dpop, authorization } = request.headers;
    const about = { method: 'POST', url: `${this.issuer}/token` };
    const proof = typeof dpop === 'string' ? await checkProof(dpop, about) : undefined;
    this.tokenRequests.push({ grantType, parameters: given, authorization, jkt: proof?.jkt });
    if (proof !== undefined && proof.nonce !== this.authorization.nonce) {
      response.setHeader('dpop-nonce', this.authorization.nonce ?? '');
      return json(response, 400, { error: 'use_dpop_nonce' });
    }
    const jkt = this.authorization.binds ? proof?.jkt : undefined;
    const refuse = (error: string, status = 400) => json(response, status, { error, secret_hint: 'do-not-repeat-me' });
    const { tokenError } = this.authorization;
    if (tokenError !== undefined) return refuse(tokenError.error, tokenError.status);
    const client = await this.#client(request, given);
    if (client === undefined) return refuse('invalid_client', 401);
    if (grantType === 'client_credentials')
      return this.#give(response, {
        client,
        scope: given.get('scope') ?? '',
        resource: '',
        redirectUri: '',
        challenge: '',
        jkt,
      });
    if (grantType === 'refresh_token') {
      const used = given.get('refresh_token') ?? '';
      const grant = this.#refresh.get(used);
      this.#refresh.delete(used);
      if (grant === undefined || grant.client !== client) return refuse('invalid_grant');
      if (grant.jkt !== undefined && grant.jkt !== proof?.jkt) return refuse('invalid_dpop_proof');
      return this.#give(response, { ...grant, jkt });
    }
    const grant = this.#codes.get(given.get('code') ?? '');
    this.#codes.delete(given.get('code') ?? '');
    const verified = createHash('sha256')
      .update(given.get('code_verifier') ?? '')
      .digest('base64url');
    if (
      grant === undefined ||
      grant.client !== client ||
      grant.challenge !== verified ||
      grant.redirectUri !== given.get('redirect_uri') ||
      grant.resource !== given.get('resource')
    )
      return refuse('invalid_grant');
    return this.#give(response, { ...grant, jkt });
  }

  async #client(request: IncomingMessage, given: URLSearchParams): Promise<string | undefined> {
    const assertion = given.get('client_assertion');
    const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const [basicId, basicSecret] = basic === undefined ? [] : Buffer.from(basic, 'base64').toString().split(':');
    if (assertion !== null) {
      const id = JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString()).sub as string;
      const key = this.authorization.clients[id]?.key;
      if (key === undefined) return undefined;
      await jwtVerify(assertion, key, { audience: this.issuer, issuer: id, subject: id });
      return id;
    }
    const id = basicId ?? given.get('client_id') ?? '';
    if (this.authorization.metadataDocuments && id.startsWith('https://')) return id;
    const known = this.authorization.clients[id];
    return known !== undefined && known.secret === basicSecret ? id : undefined;
  }

  #give(response: ServerResponse, grant: Grant): void {
    const token = `access-${randomUUID()}`;
    const refresh = `refresh-${randomUUID()}`;
    const { expiresIn, refreshable } = this.authorization;
    const expiresAt = Date.now() + (expiresIn ?? 3_600) * 1_000;
    this.#tokens.set(token, { scope: grant.scope, expiresAt, jkt: grant.jkt });
    if (refreshable) this.#refresh.set(refresh, grant);
    json(response, 200, {
      access_token: token,
      token_type: grant.jkt === undefined ? 'Bearer' : 'DPoP',
      ...(expiresIn === undefined ? {} : { expires_in: expiresIn }),
      ...(refreshable && grant.redirectUri !== '' ? { refresh_token: refresh } : {}),
      ...(grant.scope === '' ? {} : { scope: grant.scope }),
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    if (url.pathname === '/.well-known/oauth-protected-resource/mcp')
      return json(response, 200, this.metadata(this.url));
    if (url.pathname !== '/mcp') return json(response, 404, {});
    if (request.method !== 'POST') {
      response.writeHead(405).end();
      return;
    }
    const message = JSON.parse(await bodyOf(request)) as Message;
    const token = await this.admit(request, response, this.url, message.method);
    if (token === undefined) return;
    if (message.method === 'tools/call' && !hasScope(token.scope, this.server.callScope))
      return this.#challenge(response, this.url, 403, this.server.callScope);
    if (message.id === undefined) {
      response.writeHead(202).end();
      return;
    }
    if (message.method === 'tools/call') this.calls++;
    const repeated = { content: [{ type: 'text', text: JSON.stringify(request.headers) }] };
    const repeats = this.server.repeats && message.method === 'tools/call';
    json(response, 200, { jsonrpc: '2.0', id: message.id, result: repeats ? repeated : resultOf(message.method) });
  }

  /** Who may use the server at this address; undefined when the request was turned away, and that was answered. */
  async admit(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    method: string,
  ): Promise<{ readonly scope: string } | undefined> {
    const { authorization } = request.headers;
    const { dpop } = request.headers;
    this.seen.push({ method, authorization, ...(dpop === undefined ? {} : { proof: String(dpop) }) });
    const [scheme, text = ''] = authorization?.split(' ') ?? [];
    const token = this.#tokens.get(text);
    const isGood = token !== undefined && !this.server.acceptsNone && token.expiresAt > Date.now();
    if (!isGood || scheme !== (token.jkt === undefined ? 'Bearer' : 'DPoP'))
      return void this.#challenge(response, url, 401);
    if (token.jkt === undefined) return token;
    const nonce = await this.#proofNonce(request, url, text, token.jkt);
    if (nonce === false) return void this.#challenge(response, url, 401);
    if (nonce === this.server.nonce) return token;
    const said = { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': this.server.nonce ?? '' };
    response.writeHead(401, said).end();
    return undefined;
  }

  /** What the server at this address says about itself as a protected resource. */
  metadata(url: string): object {
    const { resource, issuers, bound } = this.server;
    return {
      resource: resource ?? url,
      authorization_servers: issuers ?? [this.issuer],
      ...(bound === undefined ? {} : { dpop_signing_alg_values_supported: ['ES256'] }),
      ...(bound === 'required' ? { dpop_bound_access_tokens_required: true } : {}),
    };
  }

  /** The nonce in a good proof that nobody has used yet. */
  async #proofNonce({ headers, method = '' }: IncomingMessage, url: string, token: string, jkt: string) {
    try {
      const proof = await checkProof(String(headers.dpop), { method, url, token });
      if (proof.jkt !== jkt || this.#proofs.has(proof.jti)) return false;
      this.#proofs.add(proof.jti);
      return proof.nonce;
    } catch {
      return false;
    }
  }

  #challenge(response: ServerResponse, url: string, status: number, scope = this.server.challengedScope): void {
    const parts = [
      `resource_metadata="${this.server.metadataUrl ?? url.replace(new URL(url).pathname, (path) => `/.well-known/oauth-protected-resource${path}`)}"`,
      ...(status === 403 ? ['error="insufficient_scope"'] : []),
      ...(scope === undefined ? [] : [`scope="${scope}"`]),
    ];
    const challenges = this.server.schemes.map((scheme) => `${scheme} ${parts.join(', ')}`);
    const header = this.server.challenge ? { 'www-authenticate': challenges.join(', ') } : {};
    response.writeHead(status, header).end();
  }
}

/** What a document of OpenID Connect needs besides. */
const OPENID = {
  jwks_uri: 'https://issuer.example/jwks',
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
};

/** What a person's browser does when the person consents at once: asks, and goes where it is sent. */
export async function browse(address: URL): Promise<number> {
  // No connection is kept: the port of a world that has ended may be the next one's.
  const headers = { connection: 'close' };
  const answer = await fetch(address, { redirect: 'manual', headers });
  const back = answer.headers.get('location');
  return back === null ? answer.status : (await fetch(back, { headers })).status;
}

export function newClientKey(): { pem: string; publicKey: KeyObject } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: createPublicKey(privateKey),
  };
}

function hasScope(held: string, wanted: string | undefined): boolean {
  return wanted === undefined || wanted.split(' ').every((scope) => held.split(' ').includes(scope));
}

export function resultOf(method: string): object {
  switch (method) {
    case 'initialize':
      return {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: { name: 'protected', version: '1' },
      };
    case 'tools/list':
      return { tools: PROTECTED_TOOLS };
    case 'tools/call':
      return { content: [{ type: 'text', text: 'ran' }] };
    default:
      return {};
  }
}

function json(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
