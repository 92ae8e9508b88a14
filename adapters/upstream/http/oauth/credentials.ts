// Our own credentials at other people's authorization servers, as a file in a gate's folder. Each belongs to one holder, one server at one
// address, and one issuer, and is sealed together with these words: moved to another place in the file it cannot be opened.
// Gates that run side by side and `portcullis login` share the file: it is changed under a lock only, and read anew where it may have changed.

import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { canonicalJson } from '../../../../domain/canonical-json.ts';
import type { Json } from '../../../../domain/json.ts';
import { hmacSha256, open, seal } from '../../../crypto/node-crypto.ts';
import { acquireFileLock } from '../../../storage/file-lock.ts';
import { openStateDocument, type StateDocument } from '../../../storage/state-document.ts';
import { AuthorizationRefused } from './refusal.ts';

/** Whose credential it is: the gate's own, used for every principal, or one principal's. */
export type Holder = 'gate' | `principal:${string}`;

export interface CredentialPlace {
  readonly holder: Holder;
  readonly server: string;
  /** The address of the server, exactly: a server that moved gets a token of its own. */
  readonly url: string;
}

export interface Client {
  readonly client_id: string;
  readonly client_secret?: string | undefined;
  readonly token_endpoint_auth_method?: string | undefined;
}

export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken?: string | undefined;
  readonly scope?: string | undefined;
  /** Unix milliseconds; absent where the authorization server does not say. */
  readonly expiresAt?: number | undefined;
  /** PKCS #8 of the key that the token is bound to (RFC 9449). Absent for a token that whoever has it can use. */
  readonly proofKey?: string | undefined;
}

export interface Credential extends CredentialPlace {
  readonly issuer: string;
  readonly client: Client;
  readonly tokens: Tokens;
  /** Where the server said that its metadata is, if not at the usual place. */
  readonly resourceMetadataUrl?: string | undefined;
  /** What the server asked for and the token does not have. */
  readonly wantedScope?: string | undefined;
}

const SECRETS = z.strictObject({
  client: z.strictObject({
    client_id: z.string(),
    client_secret: z.string().optional(),
    token_endpoint_auth_method: z.string().optional(),
  }),
  tokens: z.strictObject({
    accessToken: z.string(),
    refreshToken: z.string().optional(),
    scope: z.string().optional(),
    expiresAt: z.number().optional(),
    proofKey: z.string().optional(),
  }),
  resourceMetadataUrl: z.string().optional(),
  wantedScope: z.string().optional(),
});

const ENTRIES = z.array(
  z.strictObject({ holder: z.string(), server: z.string(), url: z.string(), issuer: z.string(), sealed: z.string() }),
);
type Entry = z.infer<typeof ENTRIES>[number];

/** More than a gate has servers and principals. */
const ENTRIES_MAX = 4_096;
const LOCK_RETRY_MS = 50;
/** Longer than one exchange with an authorization server takes, which happens under the lock. */
const LOCK_WITHIN_MS = 45_000;

export class CredentialStore {
  readonly #file: string;
  readonly #sealKey: Uint8Array;
  readonly #macKey: Uint8Array;

  /** `secret` is the vault's; the keys made from it are good for nothing else. Touches no file. */
  constructor(file: string, secret: Uint8Array) {
    const key = (use: string) => hmacSha256(secret, new TextEncoder().encode(`portcullis/credentials/v1/${use}`));
    this.#file = file;
    this.#sealKey = key('seal');
    this.#macKey = key('mac');
  }

  /** Changes when the file does. For looking whether it is worth reading. */
  stamp(): string {
    try {
      const { ino, mtimeMs, size } = statSync(this.#file);
      return `${ino}/${mtimeMs}/${size}`;
    } catch {
      return 'none';
    }
  }

  /** The credential of this place, whoever issued it, or undefined. Rejects when the file is torn, altered or sealed with another key. */
  async read(place: CredentialPlace): Promise<Credential | undefined> {
    if (this.stamp() === 'none') return undefined;
    const document = await this.#open();
    const entry = (document.value as Entry[]).find((other) => isAt(other, place));
    return entry === undefined ? undefined : this.#unsealed(entry, place);
  }

  /**
   * Changes the credential of a place while nobody else does: `change` gets what is there now and returns what is to be there, or undefined
   * for nothing. What it returns is durable before this resolves; a token whose refresh token was spent must not be lost.
   */
  async change(
    place: CredentialPlace,
    change: (now: Credential | undefined) => Promise<Credential | undefined>,
  ): Promise<Credential | undefined> {
    const lock = await this.#lock();
    try {
      const document = await this.#open();
      const entries = document.value as Entry[];
      const before = entries.find((entry) => isAt(entry, place));
      const now = before === undefined ? undefined : this.#unsealed(before, place);
      const then = await change(now);
      if (then === now) return now;
      const others = entries.filter((entry) => !isAt(entry, place));
      if (others.length >= ENTRIES_MAX) throw new AuthorizationRefused('too many credentials are stored');
      await document.replace([...others, ...(then === undefined ? [] : [this.#sealed(then)])] as unknown as Json);
      return then;
    } finally {
      lock.release();
    }
  }

  #open(): Promise<StateDocument<Json>> {
    return openStateDocument<Json>({
      path: this.#file,
      kind: 'upstream-credentials',
      initial: [],
      parse: (value) => ENTRIES.safeParse(value).data,
      mac: (bytes) => hmacSha256(this.#macKey, bytes),
    });
  }

  async #lock(): Promise<{ release(): void }> {
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
    for (let waitedMs = 0; ; waitedMs += LOCK_RETRY_MS) {
      const taken = acquireFileLock(`${this.#file}.lock`);
      if (taken.ok) return taken.lock;
      if (taken.reason === 'unsupported' || waitedMs >= LOCK_WITHIN_MS)
        throw new AuthorizationRefused(`the credentials are locked: ${taken.detail}`, { final: false });
      await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
    }
  }

  #sealed({ holder, server, url, issuer, ...secrets }: Credential): Entry {
    const known = { holder, server, url, issuer };
    const text = JSON.stringify(SECRETS.parse(secrets));
    const sealed = seal(this.#sealKey, new TextEncoder().encode(text), associated(known));
    return { ...known, sealed: Buffer.from(sealed).toString('base64url') };
  }

  #unsealed(entry: Entry, place: CredentialPlace): Credential {
    const bytes = open(this.#sealKey, Buffer.from(entry.sealed, 'base64url'), associated(entry));
    if (bytes === undefined) throw new AuthorizationRefused('a stored credential cannot be opened');
    return { ...place, issuer: entry.issuer, ...SECRETS.parse(JSON.parse(new TextDecoder().decode(bytes))) };
  }
}

function isAt(entry: Entry, place: CredentialPlace): boolean {
  return entry.holder === place.holder && entry.server === place.server && entry.url === place.url;
}

function associated({ holder, server, url, issuer }: Omit<Entry, 'sealed'>): Uint8Array {
  return new TextEncoder().encode(`portcullis/credential/v1\n${canonicalJson([holder, server, url, issuer])}`);
}
