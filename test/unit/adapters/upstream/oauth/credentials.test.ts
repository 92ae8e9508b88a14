import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hmacSha256 } from '../../../../../adapters/crypto/node-crypto.ts';
import { openStateDocument } from '../../../../../adapters/storage/state-document.ts';
import { type Credential, CredentialStore } from '../../../../../adapters/upstream/http/oauth/credentials.ts';
import type { Json } from '../../../../../domain/json.ts';

const SECRET = new Uint8Array(32).fill(9);
let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
  file = join(folder, 'gate', 'credentials.json');
});

afterEach(() => rmSync(folder, { recursive: true }));

const place = { holder: 'gate', server: 'vault', url: 'https://vault.example/mcp' } as const;

function credential(more: Partial<Credential> = {}): Credential {
  return {
    ...place,
    issuer: 'https://id.example',
    client: { client_id: 'c' },
    tokens: { accessToken: 'a', refreshToken: 'r' },
    ...more,
  };
}

describe('a credential', () => {
  it('is there for its holder, server and address, and for no others', async () => {
    const store = new CredentialStore(file, SECRET);
    expect(await store.read(place)).toBeUndefined();
    await store.change(place, async () => credential());
    expect(await new CredentialStore(file, SECRET).read(place)).toEqual(credential());
    expect(await store.read({ ...place, holder: 'principal:me' })).toBeUndefined();
    expect(await store.read({ ...place, server: 'other' })).toBeUndefined();
    expect(await store.read({ ...place, url: 'https://vault.example/' })).toBeUndefined();
  });

  it.each(['holder', 'server', 'url', 'issuer'])(
    'does not open under another %s, even by whoever can seal the file',
    async (key) => {
      const store = new CredentialStore(file, SECRET);
      await store.change(place, async () => credential());
      const macKey = hmacSha256(SECRET, new TextEncoder().encode('portcullis/credentials/v1/mac'));
      const document = await openStateDocument<Json>({
        path: file,
        kind: 'upstream-credentials',
        initial: [],
        parse: (value) => value,
        mac: (bytes) => hmacSha256(macKey, bytes),
      });
      const moved = { ...place, [key]: 'elsewhere' };
      const [entry] = document.value as [Record<string, string>];
      await document.replace([{ ...entry, [key]: 'elsewhere' }]);
      await expect(store.read({ ...moved })).rejects.toThrow('cannot be opened');
    },
  );

  it('is replaced, and taken away, while others stay', async () => {
    const store = new CredentialStore(file, SECRET);
    const other = credential({ server: 'other' });
    await store.change(place, async () => credential());
    await store.change(other, async () => other);
    await store.change(place, async (now) => ({ ...credential(), wantedScope: now?.issuer }));
    expect((await store.read(place))?.wantedScope).toBe('https://id.example');
    await store.change(place, async () => undefined);
    expect(await store.read(place)).toBeUndefined();
    expect(await store.read(other)).toEqual(other);
  });

  it('stays as it was when its change fails', async () => {
    const store = new CredentialStore(file, SECRET);
    await store.change(place, async () => credential());
    const failing = store.change(place, () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(await store.read(place)).toEqual(credential());
  });

  it('is changed by one at a time, also from two processes', async () => {
    const [one, two] = [new CredentialStore(file, SECRET), new CredentialStore(file, SECRET)];
    const longer = (now: Credential | undefined) =>
      Promise.resolve(credential({ wantedScope: `${now?.wantedScope ?? ''}x` }));
    await Promise.all([one.change(place, longer), two.change(place, longer), one.change(place, longer)]);
    expect((await one.read(place))?.wantedScope).toBe('xxx');
  });
});
