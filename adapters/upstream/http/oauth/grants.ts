// The three ways to a token: a person's consent, our own credentials, and a refresh token. The messages are the SDK's; the order of the steps
// and what is refused on the way are ours.

import { randomBytes } from 'node:crypto';
import type { OAuthClientProvider, OAuthTokens } from '@modelcontextprotocol/client';
import { allScopes, isScope } from './challenge.ts';
import type { Client, Credential, CredentialPlace, Tokens } from './credentials.ts';
import { type Binding, type Discovered, discover, type Sdk } from './discovery.ts';
import { type Fetch, mustBeSecure } from './guarded-fetch.ts';
import { configuredClient, type OAuthConfig } from './oauth-config.ts';
import { ProofKey } from './proof-key.ts';
import { listenForRedirect } from './redirect-listener.ts';
import { AuthorizationRefused } from './refusal.ts';

export interface GrantContext {
  readonly sdk: Sdk;
  readonly place: CredentialPlace;
  readonly config: OAuthConfig;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly fetch: Fetch;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** What the server said it wants, when it turned us away or before. */
export interface Wanted {
  readonly scope?: string | undefined;
  readonly resourceMetadataUrl?: string | undefined;
  /** It takes tokens that are bound to a key. */
  readonly bound?: boolean | undefined;
}

/** Lets a person consent at this address. Resolves when the address was shown; the answer comes to our listener. */
export type Consent = (address: URL) => Promise<void>;

/** A person reads, logs in, finds a second factor. */
export const CONSENT_WITHIN_MS = 10 * 60_000;
const TOKEN_CHARACTERS_MAX = 64 * 1024;
const CLIENT_NAME = 'portcullis';

/** By a person's consent. Rejects when the authorization server does not promise PKCE, or answers as somebody else. */
export async function grantByConsent(
  context: GrantContext,
  wanted: Wanted,
  consent: Consent,
  signal?: AbortSignal,
): Promise<Credential> {
  const { sdk, fetch } = context;
  const found = await discoverFor(context, wanted);
  const { metadata, resource } = found;
  if (metadata.code_challenge_methods_supported?.includes('S256') !== true)
    throw new AuthorizationRefused('the authorization server does not promise PKCE with S256');
  mustBeSecure(new URL(metadata.authorization_endpoint), 'the authorization endpoint');
  const scope = scopeToAskFor(context.config, found, wanted, true);
  const key = keyFor(found.binding);
  const listener = await listenForRedirect();
  try {
    const { redirectUri } = listener;
    const { client, authentication } = await clientFor(context, found, redirectUri, scope);
    const state = randomBytes(32).toString('base64url');
    const { authorizationUrl, codeVerifier } = await sdk.startAuthorization(metadata.issuer, {
      metadata,
      clientInformation: client,
      redirectUrl: redirectUri,
      state,
      resource,
      ...(scope === undefined ? {} : { scope }),
    });
    const answered = listener.answer(state, CONSENT_WITHIN_MS, signal);
    // What goes wrong while the address is shown ends the wait as well.
    answered.catch(() => undefined);
    await consent(authorizationUrl);
    const answer = await answered;
    const iss = answer.get('iss') ?? undefined;
    // Before anything else in the answer is believed (RFC 9207).
    sdk.validateAuthorizationResponseIssuer({
      iss,
      expectedIssuer: metadata.issuer,
      issParameterSupported: metadata.authorization_response_iss_parameter_supported === true,
    });
    const code = answer.get('code');
    if (code === null) throw new AuthorizationRefused(`consent was not given (${errorCode(answer.get('error'))})`);
    const tokens = await sdk.exchangeAuthorization(metadata.issuer, {
      metadata,
      clientInformation: client,
      authorizationCode: code,
      codeVerifier,
      redirectUri,
      resource,
      fetchFn: fetch,
      ...(iss === undefined ? {} : { iss }),
      ...authentication,
      ...(await proving(sdk, key)),
    });
    const given = { tokens, scope, key, binding: found.binding };
    return credentialOf(context, found, withoutConfiguredSecret(context, client), given, wanted);
  } finally {
    listener.close();
  }
}

/** By credentials of our own, without a person. */
export async function grantByClientCredentials(context: GrantContext, wanted: Wanted): Promise<Credential> {
  const { sdk, config, environment, fetch } = context;
  const known = configuredClient(config, environment);
  if (known === undefined) throw new AuthorizationRefused('client_credentials needs a clientId');
  const found = await discoverFor(context, wanted);
  const { metadata, resource } = found;
  const scope = scopeToAskFor(config, found, wanted, false);
  const shared = { clientId: known.clientId, expectedIssuer: metadata.issuer, clientName: CLIENT_NAME };
  const provider =
    known.privateKey === undefined
      ? new sdk.ClientCredentialsProvider({ ...shared, clientSecret: known.secret ?? '' })
      : new sdk.PrivateKeyJwtProvider({
          ...shared,
          privateKey: known.privateKey.pem,
          algorithm: known.privateKey.algorithm,
        });
  const key = keyFor(found.binding);
  const session = await key?.session(sdk);
  const proving = session === undefined ? provider : Object.assign(provider, { dpop: () => session });
  const tokens = await sdk.fetchToken(proving, metadata.issuer, {
    metadata,
    resource,
    fetchFn: fetch,
    ...(scope === undefined ? {} : { scope }),
  });
  const given = { tokens, scope, key, binding: found.binding };
  return credentialOf(context, found, { client_id: known.clientId }, given, wanted);
}

/** By the refresh token of a credential, at the issuer that gave it and nowhere else. */
export async function grantByRefresh(context: GrantContext, held: Credential, { bound }: Wanted): Promise<Credential> {
  const { sdk, config, environment, fetch } = context;
  const { refreshToken, proofKey, scope } = held.tokens;
  if (refreshToken === undefined) throw new AuthorizationRefused('there is no refresh token');
  const known = configuredClient(config, environment);
  if (known !== undefined && known.clientId !== held.client.client_id)
    throw new AuthorizationRefused('the token was given to another client than the one configured');
  const found = await discoverFor({ ...context, config: { ...config, issuer: held.issuer } }, { ...held, bound });
  const { metadata, resource } = found;
  const client = known === undefined ? held.client : registered(context);
  // A token that was bound stays so, to the key that its refresh token may be bound to as well.
  const binding = proofKey === undefined ? found.binding : 'must';
  const key = proofKey === undefined ? keyFor(binding) : new ProofKey(proofKey);
  const tokens = await sdk.refreshAuthorization(metadata.issuer, {
    metadata,
    clientInformation: defined(client),
    refreshToken,
    resource,
    fetchFn: fetch,
    ...authenticationOf(context),
    ...(await proving(sdk, key)),
  });
  return credentialOf(context, found, held.client, { tokens, scope, key, binding }, held);
}

function discoverFor(
  { sdk, place, config, fetch }: GrantContext,
  { resourceMetadataUrl, bound }: Wanted,
): Promise<Discovered> {
  const binding = config.dpop === 'required' ? 'must' : bound === true ? 'may' : 'none';
  return discover(sdk, { server: new URL(place.url), issuer: config.issuer, resourceMetadataUrl, binding }, fetch);
}

function keyFor(binding: Binding): ProofKey | undefined {
  return binding === 'none' ? undefined : ProofKey.generate();
}

type SdkSession = Awaited<ReturnType<ProofKey['session']>>;

async function proving(sdk: Sdk, key: ProofKey | undefined): Promise<{ dpop: SdkSession } | Record<never, never>> {
  return key === undefined ? {} : { dpop: await key.session(sdk) };
}

/** A server cannot talk us into more than the operator configured. */
function scopeToAskFor(
  { scopes }: OAuthConfig,
  { metadata, scopesSupported }: Discovered,
  { scope }: Wanted,
  refreshable: boolean,
): string | undefined {
  if (scopes !== undefined) return allScopes(...scopes);
  const wanted = scope ?? scopesSupported;
  if (wanted === undefined || !refreshable) return wanted;
  // Asked for so that a person need not come back each hour; only where it exists.
  return metadata.scopes_supported?.includes('offline_access') === true ? allScopes(wanted, 'offline_access') : wanted;
}

type Authentication = Pick<Required<OAuthClientProvider>, 'addClientAuthentication'> | Record<never, never>;

/** The client registered beforehand, else the one that an address describes, else one registered now and for this redirect only. */
async function clientFor(
  context: GrantContext,
  { metadata }: Discovered,
  redirectUri: string,
  scope: string | undefined,
): Promise<{ client: Client & { client_id: string }; authentication: Authentication }> {
  const { sdk, config, fetch } = context;
  if (config.clientId !== undefined)
    return { client: defined(registered(context)), authentication: authenticationOf(context) };
  const authentication = {};
  if (config.clientMetadataUrl !== undefined && metadata.client_id_metadata_document_supported === true)
    return { client: { client_id: config.clientMetadataUrl }, authentication };
  if (metadata.registration_endpoint === undefined)
    throw new AuthorizationRefused('the authorization server registers nobody by itself: configure a clientId');
  mustBeSecure(new URL(metadata.registration_endpoint), 'the registration endpoint');
  const { client_id, client_secret, token_endpoint_auth_method } = await sdk.registerClient(metadata.issuer, {
    metadata,
    clientMetadata: {
      client_name: CLIENT_NAME,
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      application_type: 'native',
    },
    fetchFn: fetch,
    ...(scope === undefined ? {} : { scope }),
  });
  return { client: defined({ client_id, client_secret, token_endpoint_auth_method }), authentication };
}

function registered({ config, environment }: GrantContext): Client {
  const known = configuredClient(config, environment);
  if (known === undefined) throw new AuthorizationRefused('no clientId is configured');
  return { client_id: known.clientId, client_secret: known.secret };
}

function authenticationOf({ sdk, config, environment }: GrantContext): Authentication {
  const known = configuredClient(config, environment);
  if (known?.privateKey === undefined) return {};
  const { pem, algorithm } = known.privateKey;
  return {
    addClientAuthentication: sdk.createPrivateKeyJwtAuth({
      issuer: known.clientId,
      subject: known.clientId,
      privateKey: pem,
      alg: algorithm,
    }),
  };
}

/** A secret that is in the environment need not be on a disk. */
function withoutConfiguredSecret({ config }: GrantContext, client: Client): Client {
  return config.clientId === undefined ? client : { client_id: client.client_id };
}

/** The SDK distinguishes a key that is absent from one that is undefined. */
function defined(client: Client): { client_id: string; client_secret?: string; token_endpoint_auth_method?: string } {
  const { client_id, client_secret, token_endpoint_auth_method } = client;
  return {
    client_id,
    ...(client_secret === undefined ? {} : { client_secret }),
    ...(token_endpoint_auth_method === undefined ? {} : { token_endpoint_auth_method }),
  };
}

/** What came, and what was asked for. */
interface Given {
  readonly tokens: OAuthTokens;
  readonly scope: string | undefined;
  readonly key: ProofKey | undefined;
  readonly binding: Binding;
}

function credentialOf(
  { place, now }: GrantContext,
  { metadata }: Discovered,
  client: Client,
  { tokens: given, scope: asked, key, binding }: Given,
  { resourceMetadataUrl }: Wanted,
): Credential {
  const { access_token: accessToken, refresh_token: refreshToken, expires_in: expiresIn } = given;
  const kind = given.token_type.toLowerCase();
  if (kind !== 'bearer' && (kind !== 'dpop' || key === undefined))
    throw new AuthorizationRefused('the token is neither a bearer token nor bound to a key of ours');
  if (kind === 'bearer' && binding === 'must')
    throw new AuthorizationRefused('the token is not bound to our key, as it has to be');
  if (!isToken(accessToken) || (refreshToken !== undefined && refreshToken.length > TOKEN_CHARACTERS_MAX))
    throw new AuthorizationRefused('the token cannot be sent in a header');
  const scope = given.scope ?? asked;
  const tokens: Tokens = {
    accessToken,
    refreshToken,
    scope: scope !== undefined && isScope(scope) ? scope : undefined,
    expiresAt: expiresIn === undefined ? undefined : now() + Math.max(0, expiresIn) * 1_000,
    proofKey: kind === 'dpop' ? key?.pem : undefined,
  };
  return { ...place, issuer: metadata.issuer, client, tokens, resourceMetadataUrl };
}

function isToken(text: string): boolean {
  return text.length > 0 && text.length <= TOKEN_CHARACTERS_MAX && /^[\x21-\x7e]+$/.test(text);
}

/** The protocol's code, or that it was none: the rest of what a redirect carries is anybody's text. */
function errorCode(text: string | null): string {
  return text !== null && /^[a-z_]{1,64}$/.test(text) ? text : 'no code and no error';
}
