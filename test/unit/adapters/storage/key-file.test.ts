import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { generateSigningKey, publicKeyToPem } from '../../../../adapters/crypto/node-crypto.ts';
import {
  ensureKey,
  loadPublicKey,
  openSecret,
  openSigningKey,
  privateKeyPath,
  publicKeyPath,
} from '../../../../adapters/storage/key-file.ts';

let root: string;
let folder: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'portcullis-'));
  folder = join(root, 'state', 'keys');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const secretPath = () => privateKeyPath(folder, 'permit');
const publicPath = () => publicKeyPath(folder, 'permit');
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe('a signing key', () => {
  const faults: [string, () => void, RegExp][] = [
    ['a key that the group can read', () => chmodSync(secretPath(), 0o640), /open to other users \(mode 0640\)/],
    ['a key that everybody can read', () => chmodSync(secretPath(), 0o604), /open to other users/],
    ['a folder that others can enter', () => chmodSync(folder, 0o711), /open to other users/],
    ['a public half that others can write', () => chmodSync(publicPath(), 0o666), /open to other users/],
    [
      'a link in the place of the key',
      () => {
        renameSync(secretPath(), join(root, 'elsewhere'));
        symlinkSync(join(root, 'elsewhere'), secretPath());
      },
      /symbolic link/,
    ],
    [
      'a link in the place of the folder',
      () => {
        renameSync(folder, join(root, 'elsewhere'));
        symlinkSync(join(root, 'elsewhere'), folder);
      },
      /not a folder/,
    ],
    [
      'a folder in the place of the key',
      () => {
        unlinkSync(secretPath());
        mkdirSync(secretPath(), 0o700);
      },
      /not a file/,
    ],
    ['an empty key', () => writeFileSync(secretPath(), ''), /does not hold an Ed25519 private key/],
    ['half a key', () => writeFileSync(secretPath(), readFileSync(secretPath()).subarray(0, 60)), /does not hold/],
    ['a file far too large', () => writeFileSync(secretPath(), 'A'.repeat(10_000)), /too large/],
    [
      'the public half of another key',
      () => writeFileSync(publicPath(), publicKeyToPem(generateSigningKey().publicKey)),
      /not the public half/,
    ],
    ['a public half alone', () => unlinkSync(secretPath()), /is missing/],
  ];

  it.each(faults)('is refused: %s', (_, spoil, reason) => {
    expect(ensureKey(folder, 'permit')).toBeUndefined();
    spoil();
    expect(openSigningKey(folder, 'permit')).toEqual({ fault: expect.stringMatching(reason) });
    expect(ensureKey(folder, 'permit')).toEqual({ fault: expect.stringMatching(reason) });
  });

  it.runIf(process.getuid?.() === 0)('is refused: one that belongs to another user', async () => {
    const { chownSync } = await import('node:fs');
    ensureKey(folder, 'permit');
    chownSync(secretPath(), 65_534, 65_534);
    expect(openSigningKey(folder, 'permit')).toEqual({ fault: expect.stringMatching(/belongs to another user/) });
  });

  it('is refused where the folder cannot be made', () => {
    writeFileSync(join(root, 'state'), 'a file');
    expect(openSigningKey(folder, 'permit')).toEqual({ fault: expect.stringMatching(/ENOTDIR|EEXIST/) });
  });

  it('is made once, for its owner alone, and stays the same', () => {
    const first = openSigningKey(folder, 'permit');
    const again = openSigningKey(folder, 'permit');
    expect(first).toMatchObject({ kid: expect.any(String) });
    expect(again).toMatchObject({ kid: 'kid' in first ? first.kid : '' });
    expect([mode(folder), mode(secretPath())]).toEqual(['700', '600']);
    expect(readdirSync(folder).sort()).toEqual(['permit.key', 'permit.pub']);
  });

  it('is another one for every role', () => {
    const kids = (['permit', 'log', 'gate'] as const).map((role) => {
      const key = openSigningKey(folder, role);
      return 'kid' in key ? key.kid : key.fault;
    });
    expect(new Set(kids).size).toBe(3);
  });

  it('gets its public half back after a crash between the two files', () => {
    ensureKey(folder, 'permit');
    unlinkSync(publicPath());
    expect(ensureKey(folder, 'permit')).toBeUndefined();
    expect(existsSync(publicPath())).toBe(true);
  });
});

describe('a public key', () => {
  it('is not made by reading it', () => {
    expect(loadPublicKey(folder, 'permit')).toHaveProperty('fault');
    ensureKey(folder, 'log');
    expect(loadPublicKey(folder, 'permit')).toHaveProperty('fault');
    expect(existsSync(secretPath())).toBe(false);
  });

  it('is refused where a private key lies in its place', () => {
    ensureKey(folder, 'permit');
    writeFileSync(publicPath(), readFileSync(secretPath()));
    expect(loadPublicKey(folder, 'permit')).toEqual({
      fault: expect.stringMatching(/does not hold an Ed25519 public key/),
    });
  });

  it('is read without the private one', () => {
    const key = openSigningKey(folder, 'permit');
    writeFileSync(secretPath(), 'not readable as a key');
    expect(loadPublicKey(folder, 'permit')).toEqual({ publicKey: 'publicKey' in key ? key.publicKey : undefined });
  });
});

describe('a secret', () => {
  it.each(['', 'AAAA\n', `${'A'.repeat(43)}`, `${'A'.repeat(42)}B\n`, `${'A'.repeat(44)}\n`])(
    'is refused: %j',
    (text) => {
      ensureKey(folder, 'vault');
      writeFileSync(privateKeyPath(folder, 'vault'), text);
      expect(openSecret(folder, 'vault')).toEqual({ fault: expect.stringMatching(/does not hold 32 bytes/) });
    },
  );

  it('is 32 bytes, made once, and stays the same', () => {
    const first = openSecret(folder, 'vault');
    expect(first).toEqual(openSecret(folder, 'vault'));
    expect('secret' in first && first.secret.length).toBe(32);
    expect([mode(privateKeyPath(folder, 'vault')), readdirSync(folder)]).toEqual(['600', ['vault.key']]);
  });
});

it('two processes that start at once end with one and the same key', async () => {
  const loader = fileURLToPath(new URL('../../../support/typescript.mjs', import.meta.url));
  const source = new URL('../../../../adapters/storage/key-file.ts', import.meta.url).href;
  const at = Date.now() + 1_500;
  const program = `
    const { openSigningKey } = await import(${JSON.stringify(source)});
    while (Date.now() < ${at});
    const kids = [];
    for (let round = 0; round < 20; round++) {
      const key = openSigningKey(${JSON.stringify(folder)} + round, 'permit');
      kids.push(key.kid ?? key.fault);
    }
    console.log(JSON.stringify(kids));
  `;
  const run = () => promisify(execFile)(process.execPath, ['--import', loader, '--input-type=module', '-e', program]);
  mkdirSync(join(root, 'state'), { mode: 0o700 });
  const [one, two] = await Promise.all([run(), run()]);
  const kids = JSON.parse(one.stdout) as string[];
  expect(kids.every((kid) => /^[\w-]{43}$/.test(kid))).toBe(true);
  expect(JSON.parse(two.stdout)).toEqual(kids);
  expect(new Set(kids).size).toBe(20);
  for (let round = 0; round < 20; round++)
    expect(readdirSync(folder + round).sort()).toEqual(['permit.key', 'permit.pub']);
});
