// What an operator may say about how we are known to an authorization server, and how that is turned into a client of it.
// Secrets are named, never written; they belong to the issuer that is named with them, and to no other.

import { AuthorizationRefused } from './refusal.ts';

export interface OAuthConfig {
  readonly grant?: 'authorization_code' | 'client_credentials' | undefined;
  /** As registered with the issuer beforehand. */
  readonly clientId?: string | undefined;
  readonly clientSecretEnv?: string | undefined;
  /** PKCS #8, for private_key_jwt. */
  readonly privateKeyEnv?: string | undefined;
  readonly algorithm?: string | undefined;
  /** The https address of a document that describes this client, used where the issuer supports that. */
  readonly clientMetadataUrl?: string | undefined;
  /** Exactly these are asked for. Without them, what the server asks for. */
  readonly scopes?: readonly string[] | undefined;
  readonly issuer?: string | undefined;
  /** No token will do that is not bound to a key of ours. Without it one is asked for where server and issuer both know such tokens. */
  readonly dpop?: 'required' | undefined;
  /** Whose the tokens are: the gate's own, used for everybody, or one for each agent. */
  readonly holder?: 'gate' | 'agent' | undefined;
}

export interface ConfiguredClient {
  readonly clientId: string;
  readonly secret: string | undefined;
  readonly privateKey: { readonly pem: string; readonly algorithm: string } | undefined;
}

/** The client that was registered beforehand, with its secrets from the environment, or undefined where none is configured. */
export function configuredClient(
  config: OAuthConfig,
  environment: Readonly<Record<string, string | undefined>>,
): ConfiguredClient | undefined {
  const { clientId, clientSecretEnv, privateKeyEnv, algorithm } = config;
  if (clientId === undefined) return undefined;
  const secret = fromEnvironment(clientSecretEnv, environment);
  const pem = fromEnvironment(privateKeyEnv, environment);
  if ((secret !== undefined || pem !== undefined) && config.issuer === undefined)
    throw new AuthorizationRefused('a client secret needs the issuer to which it belongs');
  if (pem !== undefined && algorithm === undefined)
    throw new AuthorizationRefused('a private key needs the algorithm that it signs with');
  return {
    clientId,
    secret,
    privateKey: pem === undefined || algorithm === undefined ? undefined : { pem, algorithm },
  };
}

function fromEnvironment(
  name: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (name === undefined) return undefined;
  const value = environment[name];
  if (value === undefined || value === '')
    throw new AuthorizationRefused(`the environment variable ${name} is not set, and a client secret comes from it`);
  return value;
}
