// portcullis login: gets a token for a protected server by its operator's consent, and keeps it for the gate. The address to open is shown,
// never opened by itself; no token is shown at all.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { type Route, routeTo } from '../../adapters/network/route.ts';
import { allScopes, type Challenge, tokenChallenge } from '../../adapters/upstream/http/oauth/challenge.ts';
import {
  type Credential,
  type CredentialPlace,
  CredentialStore,
  type Holder,
} from '../../adapters/upstream/http/oauth/credentials.ts';
import {
  type GrantContext,
  grantByClientCredentials,
  grantByConsent,
  type Wanted,
} from '../../adapters/upstream/http/oauth/grants.ts';
import { FETCH_LIMITS, guardedFetch } from '../../adapters/upstream/http/oauth/guarded-fetch.ts';
import type { OAuthConfig } from '../../adapters/upstream/http/oauth/oauth-config.ts';
import { refusalOf } from '../../adapters/upstream/http/oauth/refusal.ts';
import { resourceUrl } from '../../adapters/upstream/http/oauth/server-authorization.ts';
import type { Manifest, ManifestRemote, ManifestServer } from '../../control-plane/policy/manifest.ts';
import { visibleText } from '../../domain/visible-text.ts';
import { USUAL_GATE } from '../credentials.ts';
import { EXIT } from '../exit-codes.ts';
import { credentialsFile, findHome, gateFolder } from '../home.ts';
import { registerKeys } from '../key-registry.ts';
import { openKeys } from '../ledger.ts';
import { GATE_NAME, loadConfiguration } from '../open-gate.ts';
import { CommandError, type Output } from '../output.ts';
import { wayOf } from '../servers.ts';

export interface LoginOptions {
  readonly config?: string;
  readonly name?: string;
  readonly open?: boolean;
  /** Whose token it is to be, where each agent has its own. */
  readonly agent?: string;
}

/** Does nothing, in every revision of the protocol. */
const PING: RequestInit = {
  method: 'POST',
  headers: { accept: 'application/json, text/event-stream', 'content-type': 'application/json' },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
};
/** As a WebSocket begins. A server that agrees has said nothing about tokens, and the connection ends there. */
const UPGRADE: RequestInit = {
  headers: {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(16).toString('base64'),
    'sec-websocket-protocol': 'mcp',
  },
};

/** A server turns somebody away at once, or lets him in and goes on writing. */
const STREAM_WITHIN_MS = 3_000;

export async function login(server: string, options: LoginOptions, out: Output): Promise<number> {
  const home = findHome();
  const configuration = loadConfiguration(home, options.config);
  if (configuration === undefined)
    throw new CommandError(`there is no ${home.config}/portcullis.yaml`, EXIT.usage, ['name one with --config FILE']);
  const { manifest, file } = configuration;
  const configured = manifest.servers[server];
  const remote = configured === undefined ? undefined : remoteOf(configured);
  if (remote === undefined) {
    const names = Object.keys(manifest.servers).filter((name) => manifest.servers[name]?.stdio === undefined);
    throw new CommandError(`${file} has no remote server "${visibleText(server, 80)}"`, EXIT.usage, [
      `remote servers: ${names.join(', ') || 'none'}`,
    ]);
  }
  const { auth, headers, asked } = remote;
  const url = resourceUrl(remote.url);
  const oauth: OAuthConfig = remote.oauth ?? {};
  if (auth !== undefined || Object.keys(headers).some((name) => name.toLowerCase() === 'authorization'))
    throw new CommandError(`servers.${server} has its credential in the manifest`, EXIT.usage, [
      'a server gets its token in one way: take auth or the Authorization header out to log in',
    ]);
  const holder = holderOf(manifest, server, oauth, options.agent);
  const name = options.name ?? USUAL_GATE;
  if (!GATE_NAME.test(name)) throw new CommandError(`"${visibleText(name, 80)}" cannot name a gate`, EXIT.usage);
  const folder = gateFolder(home, name);
  const keys = openKeys(folder.keys);
  await registerKeys(home, keys);
  const store = new CredentialStore(credentialsFile(folder), keys.vault);
  const place: CredentialPlace = { holder, server, url: url.href };
  const route = routeTo(url.hostname, wayOf(remote));
  const fetch = guardedFetch({ server: url, route });
  const sdk = await import('@modelcontextprotocol/client');
  const context: GrantContext = { sdk, place, config: oauth, environment: process.env, fetch, now: Date.now };
  let granted: Credential;
  try {
    const wanted = wantedBy(await challengeOf(asked, url, route), await store.read(place));
    granted =
      oauth.grant === 'client_credentials'
        ? await grantByClientCredentials(context, wanted)
        : await grantByConsent(context, wanted, async (address) => show(address, options.open === true, out));
    await store.change(place, async () => granted);
  } catch (error) {
    throw new CommandError(`no token for ${server}: ${refusalOf(error).message}`);
  }
  const { issuer, tokens } = granted;
  const ends = tokens.expiresAt === undefined ? null : new Date(tokens.expiresAt).toISOString();
  const renewed = tokens.refreshToken !== undefined || oauth.grant === 'client_credentials';
  out.answer({ server, issuer, scope: tokens.scope ?? null, ends, renewed });
  out.line(`logged in to ${server} at ${visibleText(issuer, 200)}`);
  out.line(`scope ${tokens.scope ?? 'not said'}, ${lifetime(ends, renewed)}`);
  return EXIT.ok;
}

/** Whose the token is to be. The gate needs its own too, to find out what the server offers. */
function holderOf({ agents }: Manifest, server: string, { holder }: OAuthConfig, agent: string | undefined): Holder {
  if (agent === undefined) return 'gate';
  if (holder !== 'agent')
    throw new CommandError(`the token for ${server} is the gate's own, for every agent`, EXIT.usage, [
      'each agent has its own with "holder: agent" under its oauth',
    ]);
  if (!Object.hasOwn(agents, agent))
    throw new CommandError(`there is no agent "${visibleText(agent, 80)}"`, EXIT.usage, [
      `agents: ${Object.keys(agents).join(', ') || 'none'}`,
    ]);
  return `principal:${agent}`;
}

function lifetime(ends: string | null, renewed: boolean): string {
  if (renewed) return 'exchanged by the gate before it ends';
  return ends === null ? 'no end known' : `ends ${ends}, then log in again`;
}

/** A server that is reached over a network, and the request by which it shows what token it wants. */
function remoteOf({ http, sse, ws }: ManifestServer): (ManifestRemote & { readonly asked: RequestInit }) | undefined {
  if (http !== undefined) return { ...http, asked: PING };
  if (sse !== undefined) return { ...sse, asked: { headers: { accept: 'text/event-stream' } } };
  return ws === undefined ? undefined : { ...ws, asked: UPGRADE };
}

/** What the server says when it is asked without a token. One that lets us in may say nothing that ends: then it said nothing. */
async function challengeOf(asked: RequestInit, url: URL, route: Route): Promise<Challenge | undefined> {
  try {
    const limits = asked === PING ? FETCH_LIMITS : { ...FETCH_LIMITS, timeoutMs: STREAM_WITHIN_MS };
    const ask = guardedFetch({ server: url, route, limits });
    const response = await ask(url, asked);
    return tokenChallenge(response.headers.get('www-authenticate') ?? undefined);
  } catch (error) {
    if (asked === PING) throw error;
    return undefined;
  }
}

/** That, and what a running gate was refused. */
function wantedBy(challenge: Challenge | undefined, held: Credential | undefined): Wanted {
  const more = held?.wantedScope === undefined ? undefined : allScopes(held.tokens.scope, held.wantedScope);
  return {
    scope: allScopes(challenge?.scope, more),
    resourceMetadataUrl: challenge?.resourceMetadataUrl ?? held?.resourceMetadataUrl,
    bound: challenge?.bound,
  };
}

function show(address: URL, open: boolean, out: Output): void {
  out.answer({ open: address.href });
  out.line(`open this address in a browser on this machine:\n\n  ${address.href}\n`);
  out.note('waiting for consent');
  if (open) openInBrowser(address, (reason) => out.note(`the browser could not be opened: ${reason}`));
}

/** No shell sees the address: an authorization server had a part in it. */
function openInBrowser(address: URL, failed: (reason: string) => void): void {
  const [command, args]: [string, string[]] =
    process.platform === 'darwin'
      ? ['open', [address.href]]
      : process.platform === 'win32'
        ? ['rundll32', ['url.dll,FileProtocolHandler', address.href]]
        : ['xdg-open', [address.href]];
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  child.on('error', (error) => failed(error.message));
  child.unref();
}
