// The token that goes with our requests to one protected server: kept fresh ahead of time, exchanged when it is refused, and absent where a
// person has to log in first. What is sent now carries the token that is there now, or is not sent: nothing waits in here for a token.
// It never says what a token is, and never gives one to another server or issuer: see credentials.ts and discovery.ts.

import { allScopes, holdsScopes, tokenChallenge } from './challenge.ts';
import type { Credential, CredentialPlace, CredentialStore, Holder } from './credentials.ts';
import {
  type Consent,
  type GrantContext,
  grantByClientCredentials,
  grantByConsent,
  grantByRefresh,
  type Wanted,
} from './grants.ts';
import { type Fetch, guardedFetch } from './guarded-fetch.ts';
import type { OAuthConfig } from './oauth-config.ts';
import { AuthorizationRefused, refusalOf } from './refusal.ts';
import { headerOf, isNonce, RequestProofs } from './request-proofs.ts';

/** What the pipe asks before each request, in the tick in which it is sent. */
export type OutgoingAuthorization =
  | { readonly ok: true; readonly header?: string; readonly proof?: string }
  | { readonly ok: false; readonly detail: string };

export interface UpstreamAuthorizationOptions {
  readonly server: string;
  readonly url: URL;
  /** Absent for a server of which nobody said that it is protected; it may say so itself. */
  readonly config?: OAuthConfig | undefined;
  /** Absent where no state is kept: then nobody can log in. */
  readonly store?: CredentialStore | undefined;
  readonly holder?: Holder;
  /** Whether somebody waits for the login that is needed, as a gate does that is to open. Otherwise each start says anew that it is needed. */
  readonly isAwaited?: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Told once when a person has to do something. */
  readonly note?: ((detail: string) => void) | undefined;
  /** Consents without a person. Of use to tests alone: a gate has nobody to ask. */
  readonly consent?: Consent | undefined;
  readonly fetch?: Fetch;
  readonly now?: () => number;
}

/** A renewal takes a second or two; a clock may be off by some. */
const RENEW_AHEAD_MS = 60_000;
const RETRY_FIRST_MS = 2_000;
const RETRY_MAX_MS = 60_000;
/** How soon a login in another process is noticed. */
const LOOK_EVERY_MS = 1_000;
/** A timer of Node cannot be longer. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class UpstreamAuthorization {
  readonly #options: UpstreamAuthorizationOptions;
  readonly #place: CredentialPlace;
  readonly #fetch: Fetch;
  readonly #now: () => number;
  /** The server is known to be protected. */
  #required: boolean;
  #credential: Credential | undefined;
  readonly #proofs = new RequestProofs();
  #wanted: Wanted = {};
  /** Why there is no token that can be used. */
  #problem = '';
  #loaded: Promise<void> | undefined;
  #renewing: Promise<void> | undefined;
  #stamp = 'none';
  /** A token that the server has let pass. One that came after a refusal and was refused too is not exchanged again. */
  #proven: string | undefined;
  #exchanged: string | undefined;
  #noted = '';
  #refusedOnce = false;
  /** After a failure nobody makes us ask again before this. */
  #notBefore = 0;
  #retryMs = RETRY_FIRST_MS;
  #timer: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;
  #waiting = new Set<() => void>();
  #resting = false;

  constructor(options: UpstreamAuthorizationOptions) {
    this.#options = options;
    const { server, url, holder = 'gate' } = options;
    this.#place = { holder, server, url: url.href };
    this.#fetch = options.fetch ?? guardedFetch({ server: url });
    this.#now = options.now ?? Date.now;
    this.#required = options.config !== undefined;
  }

  /** The headers for a request that leaves in this tick, none where the server asked for none, or why it must not leave. */
  outgoing(method: string, url: URL): OutgoingAuthorization {
    const held = this.#credential;
    if (held === undefined) return this.#required ? { ok: false, detail: this.#why() } : { ok: true };
    if (this.#isFresh(held)) return { ok: true, ...this.#proofs.headers(held, method, url, this.#now()) };
    void this.#renew(held);
    return { ok: false, detail: 'its token has expired and no new one has come yet' };
  }

  /** The server let a request with this header pass. */
  accepted(header: string | undefined): void {
    this.#proven = header;
  }

  /** The server said with an answer, whatever the answer was, what the next proof has to hold. */
  heard(nonce: string): void {
    this.#proofs.heard(nonce);
  }

  /** Whether the request was turned away before it ran for want of a nonce alone, and that nonce has come. */
  lackedNonce(status: number, wwwAuthenticate: string | undefined, nonce: string | undefined): boolean {
    if (status !== 401 || nonce === undefined || !isNonce(nonce)) return false;
    if (this.#credential?.tokens.proofKey === undefined) return false;
    return tokenChallenge(wwwAuthenticate)?.error === 'use_dpop_nonce';
  }

  /** The server answered with 401 or 403. What is to be said of a request that was turned away, and undefined where this one was not. */
  turnedAway(status: number, wwwAuthenticate: string | undefined, header: string | undefined): string | undefined {
    const challenge = tokenChallenge(wwwAuthenticate);
    const held = this.#credential;
    const current = held === undefined ? undefined : headerOf(held);
    if (challenge?.resourceMetadataUrl !== undefined)
      this.#wanted = { ...this.#wanted, resourceMetadataUrl: challenge.resourceMetadataUrl };
    if (status === 403) {
      const { error, scope } = challenge ?? {};
      if (error !== 'insufficient_scope' || scope === undefined) return undefined;
      return this.#stepUp(held, scope);
    }
    // Not the answer of a server that is protected by tokens: what became of the request is not known.
    if (challenge === undefined && this.#options.config === undefined && held === undefined) return undefined;
    this.#required = true;
    this.#look();
    if (challenge?.scope !== undefined) this.#wanted = { ...this.#wanted, scope: challenge.scope };
    if (challenge?.bound === true) this.#wanted = { ...this.#wanted, bound: true };
    if (held !== undefined && header !== current) return 'it refused a token that has been exchanged since';
    if (challenge?.error === 'use_dpop_nonce' && held?.tokens.proofKey !== undefined)
      return 'it wants another nonce in a proof than the one it gave';
    if (held === undefined) {
      if (this.#canRenew(undefined)) void this.#renew(undefined);
      else this.#need();
      return this.#why();
    }
    const exchangedInVain = this.#exchanged === held.tokens.accessToken && this.#proven !== header;
    this.#credential = undefined;
    if (exchangedInVain || !this.#canRenew(held)) {
      this.#problem = 'it does not accept our token';
      this.#need();
      // Nobody logs in for these; the server may come to its senses.
      if (this.#options.config?.grant === 'client_credentials') this.#later(undefined, RETRY_MAX_MS);
      return this.#why();
    }
    void this.#renew(held, true);
    return 'it no longer accepts our token, which is being exchanged';
  }

  /**
   * Makes a token ready before a conversation begins. Rejects at once, the first time, when a person has to log in; asked again it waits
   * until that has happened, or the signal is given.
   */
  async prepare(signal: AbortSignal): Promise<void> {
    this.#resting = false;
    await this.#load();
    const fresh = () => this.#credential !== undefined && this.#isFresh(this.#credential);
    if (!this.#required && this.#credential === undefined) return;
    if (fresh()) return;
    if (this.#canRenew(this.#credential)) await this.#renew(this.#credential);
    if (fresh()) return;
    this.#tell(this.#why());
    this.#look();
    if (!this.#refusedOnce || this.#options.isAwaited === false) {
      this.#refusedOnce = true;
      throw new AuthorizationRefused(this.#why());
    }
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted || this.#resting) done();
    });
  }

  /** No timer is left running. The next `prepare` begins anew. */
  rest(): void {
    this.#resting = true;
    this.#loaded = undefined;
    clearTimeout(this.#timer);
    clearInterval(this.#looking);
    this.#looking = undefined;
    for (const done of [...this.#waiting]) done();
  }

  /** More is wanted than the token allows. Once per set of scopes, where it can be had without a person. */
  #stepUp(held: Credential | undefined, scope: string): string {
    const detail = `it wants the scope ${scope}`;
    const { config } = this.#options;
    if (config?.scopes !== undefined && !holdsScopes(config.scopes.join(' '), scope))
      return `${detail}, which servers.${this.#place.server}.http.oauth.scopes does not list`;
    if (held === undefined || holdsScopes(held.wantedScope, scope) || holdsScopes(held.tokens.scope, scope))
      return `${detail}, and did not get further with it: ${this.#advice()}`;
    const wantedScope = allScopes(held.tokens.scope, held.wantedScope, scope);
    this.#wanted = { ...this.#wanted, scope: wantedScope };
    const asking: Credential = { ...held, wantedScope };
    this.#credential = asking;
    if (this.#isUnattended()) {
      void this.#renew(asking, true);
      return `${detail}, which is being asked for`;
    }
    // For the login that follows: it asks for what is there and what is wanted.
    void this.#options.store
      ?.change(this.#place, async (now) => (now === undefined ? undefined : { ...now, wantedScope }))
      .catch((error: unknown) => this.#tell(refusalOf(error).message));
    this.#tell(`${detail}: ${this.#advice()}`);
    return `${detail}: ${this.#advice()}`;
  }

  #why(): string {
    const reason = this.#problem === '' ? 'it needs a login' : this.#problem;
    return this.#isUnattended() ? reason : `${reason}: ${this.#advice()}`;
  }

  #advice(): string {
    const { server, holder } = this.#place;
    const whose = holder === 'gate' ? '' : ` --agent ${holder.slice('principal:'.length)}`;
    return `run portcullis login ${server}${whose}`;
  }

  /** Whether tokens come without a person. */
  #isUnattended(): boolean {
    return this.#options.config?.grant === 'client_credentials' || this.#options.consent !== undefined;
  }

  #canRenew(held: Credential | undefined): boolean {
    return this.#isUnattended() || held?.tokens.refreshToken !== undefined;
  }

  #isFresh({ tokens }: Credential): boolean {
    return tokens.expiresAt === undefined || tokens.expiresAt > this.#now();
  }

  #load(): Promise<void> {
    this.#loaded ??= this.#read();
    return this.#loaded;
  }

  /** Takes what is on the disk, unless it is of an issuer that the operator no longer names, or of a kind that will not do any more. */
  async #read(): Promise<void> {
    const { store, config } = this.#options;
    if (store === undefined) return;
    this.#stamp = store.stamp();
    try {
      const stored = await store.read(this.#place);
      const foreign = config?.issuer !== undefined && stored !== undefined && stored.issuer !== config.issuer;
      const unbound = config?.dpop === 'required' && stored?.tokens.proofKey === undefined;
      this.#take(foreign || unbound ? undefined : stored);
    } catch (error) {
      this.#problem = refusalOf(error).message;
    }
  }

  #take(credential: Credential | undefined): void {
    this.#credential = credential;
    if (credential === undefined) return;
    this.#required = true;
    this.#problem = '';
    this.#noted = '';
    this.#refusedOnce = false;
    this.#notBefore = 0;
    this.#retryMs = RETRY_FIRST_MS;
    this.#look();
    this.#schedule(credential);
    for (const done of [...this.#waiting]) done();
  }

  #schedule(credential: Credential): void {
    const { expiresAt } = credential.tokens;
    if (expiresAt === undefined || !this.#canRenew(credential)) return;
    const leftMs = expiresAt - this.#now();
    this.#later(credential, leftMs - Math.min(RENEW_AHEAD_MS, leftMs / 2));
  }

  #later(held: Credential | undefined, ms: number): void {
    clearTimeout(this.#timer);
    if (this.#resting) return;
    const waitMs = Math.min(TIMER_MS_MAX, Math.max(RETRY_FIRST_MS / 2, ms));
    this.#timer = setTimeout(() => void this.#renew(held), waitMs).unref();
  }

  /** One at a time. `refused`: the server has turned the token away, however fresh it is. Never rejects. */
  #renew(held: Credential | undefined, refused = false): Promise<void> {
    if (this.#renewing === undefined && (this.#resting || this.#now() < this.#notBefore)) return Promise.resolve();
    this.#renewing ??= this.#renewed(held, refused).finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renewed(held: Credential | undefined, refused: boolean): Promise<void> {
    const { store } = this.#options;
    const old = held?.tokens.accessToken;
    try {
      const renew = (now: Credential | undefined) => this.#granted(now, held);
      const credential = store === undefined ? await renew(held) : await store.change(this.#place, renew);
      if (store !== undefined) this.#stamp = store.stamp();
      if (this.#resting) return;
      if (refused && credential?.tokens.accessToken !== old) this.#exchanged = credential?.tokens.accessToken;
      this.#take(credential);
    } catch (error) {
      const refusal = refusalOf(error);
      this.#problem = refusal.message;
      // What is there goes on being used for as long as it is good.
      if (refusal.final) this.#credential = undefined;
      if (refusal.final && !this.#isUnattended()) return this.#need();
      this.#tell(refusal.message);
      this.#notBefore = this.#now() + this.#retryMs;
      this.#later(held, this.#retryMs);
      this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
    }
  }

  /** Under the lock of the store: `now` is what is there, which another process may have renewed already. */
  async #granted(now: Credential | undefined, held: Credential | undefined): Promise<Credential> {
    if (now !== undefined && now.tokens.accessToken !== held?.tokens.accessToken && this.#isFresh(now)) return now;
    const context = await this.#context();
    const { consent, config } = this.#options;
    if (config?.grant === 'client_credentials') return grantByClientCredentials(context, this.#wanted);
    const base = held ?? now;
    const wantsMore = base?.wantedScope !== undefined && !holdsScopes(base.tokens.scope, base.wantedScope);
    let refusal: AuthorizationRefused | undefined;
    if (base?.tokens.refreshToken !== undefined && !wantsMore) {
      try {
        const renewed = await grantByRefresh(context, now ?? base, this.#wanted);
        // A server that gives no new refresh token leaves the old one good.
        const refreshToken = renewed.tokens.refreshToken ?? base.tokens.refreshToken;
        return { ...renewed, tokens: { ...renewed.tokens, refreshToken } };
      } catch (error) {
        refusal = refusalOf(error);
        if (!refusal.final) throw refusal;
      }
    }
    if (consent !== undefined) {
      const granted = await grantByConsent(context, this.#wanted, consent);
      // What was asked for and refused is remembered, so that it is asked for once.
      return { ...granted, wantedScope: base?.wantedScope };
    }
    throw refusal ?? new AuthorizationRefused('it needs a login');
  }

  async #context(): Promise<GrantContext> {
    const { config = {}, environment } = this.#options;
    const sdk = await import('@modelcontextprotocol/client');
    return { sdk, place: this.#place, config, environment, fetch: this.#fetch, now: this.#now };
  }

  /** Only a person helps now. */
  #need(): void {
    this.#tell(this.#why());
    this.#look();
  }

  /** Notices what `portcullis login`, or another gate beside this one, has written. */
  #look(): void {
    const { store } = this.#options;
    if (store === undefined || this.#looking !== undefined || this.#resting) return;
    this.#looking = setInterval(() => {
      if (store.stamp() !== this.#stamp && this.#renewing === undefined) void this.#read();
    }, LOOK_EVERY_MS).unref();
  }

  #tell(detail: string): void {
    if (detail === this.#noted) return;
    this.#noted = detail;
    this.#options.note?.(detail);
  }
}
