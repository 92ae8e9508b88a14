// The credential of a request over HTTP: an API key or an access token after `Bearer`, a token after `DPoP` with a proof that its sender has
// the key that it is bound to, such a proof alone, or the key of a certificate that was shown when the connection was opened. Whose they are
// comes from the manifest (credentials.ts). None of it is passed on to anybody.

import { canonicalJson } from '../../domain/canonical-json.ts';
import { type Denial, deny } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import type { JsonObject } from '../../domain/json.ts';
import { randomBytes } from '../crypto/node-crypto.ts';
import type { Authenticator, CredentialRefusal, CredentialRequest, Proven } from '../downstream/ports.ts';
import { API_KEY_PREFIX, authenticateApiKey } from './api-key.ts';
import { authenticatePin } from './certificate.ts';
import { type Credentials, credentialsOf, type IdentityConfiguration } from './credentials.ts';
import { keyOfProof, ProofChecks, type ProofRefusal } from './dpop.ts';
import { endOf, holderOf, type VerifiedToken, verifyToken } from './jwt.ts';
import { TOKEN_CHARACTERS_MAX } from './limits.ts';
import { agentOfKey, proofKeyPrincipal } from './proof-key.ts';
import { ProofNonces } from './proof-nonces.ts';
import { challengeOf, metadataOf, type Problem } from './protected-resource.ts';

/** RFC 6750 and RFC 9449: the scheme in any case, one space, a token. */
const CREDENTIAL = /^(bearer|dpop) ([A-Za-z0-9._~+/-]+=*)$/i;

/** Paths in the manifest are relative to `folder`. Returns why the manifest's issuers cannot be used, for the operator. */
export function openAuthenticator(
  configuration: IdentityConfiguration,
  folder: string,
  now: () => number = Date.now,
): Authenticator | { readonly fault: string } {
  const credentials = credentialsOf(configuration, folder);
  return 'fault' in credentials ? credentials : new HttpAuthenticator(credentials, now);
}

/** What is wrong with a credential that is otherwise what it says. */
interface Wrong {
  readonly error: ProofRefusal['error'] | 'invalid_token';
  readonly detail: string;
}

export class HttpAuthenticator implements Authenticator {
  readonly #credentials: Credentials;
  readonly #now: () => number;
  readonly #nonces = new ProofNonces(randomBytes(32));
  readonly #proofs: ProofChecks;

  constructor(credentials: Credentials, now: () => number) {
    this.#credentials = credentials;
    this.#now = now;
    this.#proofs = new ProofChecks(this.#nonces, credentials.nonceRequired, now());
  }

  readonly headers = (): Record<string, string> => ({ 'dpop-nonce': this.#nonces.newest(this.#now() / 1000) });

  readonly metadata = (url: string): JsonObject | undefined => metadataOf(this.#credentials.resource, url);

  readonly authenticate = async (request: CredentialRequest): Promise<Proven | CredentialRefusal> => {
    const { apiKeys, issuers, jwts, urlIsAudience } = this.#credentials;
    const { authorization, proof, certificate, url } = request;
    if (authorization === undefined) {
      if (proof !== undefined) return this.#byProof(proof, request);
      if (certificate !== undefined) return this.#byCertificate(certificate, url);
      return this.#refuse(deny('ID_UNAUTHENTICATED', 'there is no credential'), url, { status: 401, scheme: 'Bearer' });
    }
    // The length first: no pattern runs over what is longer than any credential.
    const fits = authorization.length <= TOKEN_CHARACTERS_MAX + 'Bearer '.length;
    const [, name = '', token] = (fits ? CREDENTIAL.exec(authorization) : null) ?? [];
    const scheme = name.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer';
    const refuse = (denial: Denial, more: Partial<Problem> = {}): CredentialRefusal =>
      this.#refuse(denial, url, { status: 401, scheme, error: 'invalid_token', ...more });
    if (token === undefined) return refuse(deny('ID_UNAUTHENTICATED', 'the credential is not a token'));
    if (scheme === 'Bearer' && token.startsWith(API_KEY_PREFIX)) {
      const answer = authenticateApiKey(apiKeys, token);
      return 'code' in answer ? refuse(answer) : answer;
    }
    const verified = await verifyToken(issuers, jwts, token, urlIsAudience ? url : undefined, this.#now());
    if ('code' in verified) return refuse(verified);
    const wrong = await this.#checkProof(token, verified, request, scheme);
    if (wrong !== undefined) {
      return 'code' in wrong ? refuse(wrong) : refuse(deny('ID_UNAUTHENTICATED', wrong.detail), { error: wrong.error });
    }
    const holder = holderOf(verified);
    if ('scopes' in holder) {
      const denial = deny('ID_UNAUTHENTICATED', 'the token was not granted enough');
      return refuse(denial, { status: 403, error: 'insufficient_scope', scopes: holder.scopes });
    }
    return 'code' in holder ? refuse(holder) : { ...holder, until: endOf(verified) };
  };

  /** Where there is nothing but the proof, it says by which key it is, and only then whether it is. */
  async #byProof(proof: string, { method, url, lineage }: CredentialRequest): Promise<Proven | CredentialRefusal> {
    const refuse = (denial: Denial, error: ProofRefusal['error']) =>
      this.#refuse(denial, url, { status: 401, scheme: 'DPoP', error });
    const agent = agentOfKey(this.#credentials.proofKeys, await keyOfProof(proof));
    if ('code' in agent) return refuse(agent, 'invalid_dpop_proof');
    const { proofKey: key } = agent;
    // Its own in the list of holders, where the others are pairs.
    const subject = { method, url, shown: lineage, key, holder: canonicalJson([key]) };
    const wrong = await this.#proofs.check(proof, subject, this.#now());
    if (wrong === undefined) return proofKeyPrincipal(agent);
    if ('code' in wrong) return refuse(wrong, 'invalid_dpop_proof');
    return refuse(deny('ID_UNAUTHENTICATED', wrong.detail), wrong.error);
  }

  #byCertificate(pin: Digest, url: string): Proven | CredentialRefusal {
    const answer = authenticatePin(this.#credentials.pinned, pin);
    return 'code' in answer ? this.#refuse(answer, url, { status: 401, scheme: 'Bearer' }) : answer;
  }

  async #checkProof(
    token: string,
    { proofKey, issuer, payload }: VerifiedToken,
    { method, url, proof }: CredentialRequest,
    scheme: Problem['scheme'],
  ): Promise<Wrong | Denial | undefined> {
    if (proofKey === undefined) {
      if (issuer.dpopRequired) return { error: 'invalid_token', detail: 'the token is not bound to a key' };
      if (scheme === 'DPoP') return { error: 'invalid_token', detail: 'there is no key that a proof could be by' };
      return undefined;
    }
    if (scheme !== 'DPoP') return { error: 'invalid_token', detail: 'the token is bound to a key' };
    const holder = canonicalJson([issuer.issuer, String(payload.sub)]);
    return this.#proofs.check(proof, { method, url, token, key: proofKey, holder }, this.#now());
  }

  #refuse(denial: Denial, url: string, problem: Problem): CredentialRefusal {
    // Full, not wrong: there is nothing to do better.
    if (denial.code !== 'ID_UNAUTHENTICATED') return denial;
    const { resource, nonceRequired } = this.#credentials;
    const { status, headers } = challengeOf(resource, url, problem);
    const nonce = nonceRequired || problem.error === 'use_dpop_nonce' ? this.headers() : {};
    return { ...denial, challenge: { status, headers: { ...headers, ...nonce } } };
  }
}
