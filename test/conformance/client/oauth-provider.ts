// How the client gets tokens: as an OAuth client whose user agrees to everything at once, or with credentials the scenario hands it.

import {
  ClientCredentialsProvider,
  CrossAppAccessProvider,
  DpopSession,
  type OAuthClientInformationContext,
  type OAuthClientMetadata,
  type OAuthClientProvider,
  PrivateKeyJwtProvider,
  requestJwtAuthorizationGrant,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens,
} from '@modelcontextprotocol/client';

const REDIRECT = 'http://127.0.0.1:3456/callback';
const METADATA_URL = 'https://conformance-test.local/client-metadata.json';
/** A user who is asked again and again for the same thing gives up. */
const MOST_CONSENTS = 3;

/** What a scenario tells the client beyond an address. */
export type Context = { readonly [key: string]: unknown };

export class ConsentingProvider implements OAuthClientProvider {
  readonly redirectUrl = REDIRECT;
  readonly clientMetadataUrl = METADATA_URL;
  readonly clientMetadata: OAuthClientMetadata = {
    client_name: 'conformance-client',
    redirect_uris: [REDIRECT],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    application_type: 'native',
  };
  readonly #context: Context;
  readonly #clients = new Map<string | undefined, StoredOAuthClientInformation>();
  readonly #dpop: DpopSession | undefined;
  #tokens: StoredOAuthTokens | undefined;
  #verifier = '';
  #callback: URLSearchParams | undefined;
  #consents = 0;

  constructor(context: Context, dpop: DpopSession | undefined) {
    this.#context = context;
    this.#dpop = dpop;
  }

  dpop(): DpopSession | undefined {
    return this.#dpop;
  }

  clientInformation(at?: OAuthClientInformationContext): StoredOAuthClientInformation | undefined {
    const { client_id, client_secret, issuer } = this.#context;
    if (typeof client_id === 'string')
      return {
        client_id,
        ...(typeof client_secret === 'string' ? { client_secret } : {}),
        ...(typeof issuer === 'string' ? { issuer } : {}),
      };
    return this.#clients.get(at?.issuer);
  }

  saveClientInformation(information: StoredOAuthClientInformation, at?: OAuthClientInformationContext): void {
    this.#clients.set(at?.issuer, information);
  }

  tokens(): StoredOAuthTokens | undefined {
    return this.#tokens;
  }

  saveTokens(tokens: StoredOAuthTokens): void {
    this.#tokens = tokens;
  }

  /** Agrees: the authorization server answers with the address to come back to. */
  async redirectToAuthorization(url: URL): Promise<void> {
    this.#consents += 1;
    if (this.#consents > MOST_CONSENTS) throw new Error('asked for consent too often');
    const response = await fetch(url, { redirect: 'manual' });
    const location = response.headers.get('location');
    if (location === null) throw new Error(`the authorization server did not redirect: ${response.status}`);
    this.#callback = new URL(location, url).searchParams;
  }

  /** What the last consent brought, once. */
  takeCallback(): URLSearchParams | undefined {
    const callback = this.#callback;
    this.#callback = undefined;
    return callback;
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }

  codeVerifier(): string {
    return this.#verifier;
  }

  invalidateCredentials(scope: 'all' | 'client' | 'tokens' | 'verifier' | 'discovery'): void {
    if (scope === 'all' || scope === 'client') this.#clients.clear();
    if (scope === 'all' || scope === 'tokens') this.#tokens = undefined;
  }
}

export async function providerFor(scenario: string, context: Context): Promise<OAuthClientProvider> {
  const text = (key: string): string => String(context[key]);
  switch (scenario) {
    case 'auth/client-credentials-basic':
      return new ClientCredentialsProvider({ clientId: text('client_id'), clientSecret: text('client_secret') });
    case 'auth/client-credentials-jwt':
      return new PrivateKeyJwtProvider({
        clientId: text('client_id'),
        privateKey: text('private_key_pem'),
        algorithm: text('signing_algorithm'),
      });
    case 'auth/enterprise-managed-authorization':
      return new CrossAppAccessProvider({
        clientId: text('client_id'),
        clientSecret: text('client_secret'),
        assertion: async ({ authorizationServerUrl, resourceUrl, scope, fetchFn }) => {
          const granted = await requestJwtAuthorizationGrant({
            tokenEndpoint: text('idp_token_endpoint'),
            audience: authorizationServerUrl,
            resource: resourceUrl,
            idToken: text('idp_id_token'),
            clientId: text('idp_client_id'),
            ...(scope === undefined ? {} : { scope }),
            ...(fetchFn === undefined ? {} : { fetchFn }),
          });
          return granted.jwtAuthGrant;
        },
      });
    case 'auth/wif-jwt-bearer':
      return new WorkloadProvider(text('client_id'), text('valid_jwt'));
    default:
      return new ConsentingProvider(context, scenario.startsWith('auth/dpop') ? await DpopSession.create() : undefined);
  }
}

/** A workload that shows the token of its platform instead of asking a user. */
class WorkloadProvider implements OAuthClientProvider {
  readonly redirectUrl = undefined;
  readonly clientMetadata: OAuthClientMetadata = {
    client_name: 'conformance-client',
    redirect_uris: [],
    grant_types: ['urn:ietf:params:oauth:grant-type:jwt-bearer'],
    token_endpoint_auth_method: 'none',
  };
  readonly #clientId: string;
  readonly #assertion: string;
  #tokens: StoredOAuthTokens | undefined;

  constructor(clientId: string, assertion: string) {
    this.#clientId = clientId;
    this.#assertion = assertion;
  }

  clientInformation(): StoredOAuthClientInformation {
    return { client_id: this.#clientId };
  }

  tokens(): StoredOAuthTokens | undefined {
    return this.#tokens;
  }

  saveTokens(tokens: StoredOAuthTokens): void {
    this.#tokens = tokens;
  }

  prepareTokenRequest(scope?: string): URLSearchParams {
    return new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: this.#assertion,
      client_id: this.#clientId,
      ...(scope === undefined ? {} : { scope }),
    });
  }

  redirectToAuthorization(): void {
    throw new Error('a workload has no user to redirect');
  }

  saveCodeVerifier(): void {
    throw new Error('a workload has no code verifier');
  }

  codeVerifier(): string {
    throw new Error('a workload has no code verifier');
  }
}
