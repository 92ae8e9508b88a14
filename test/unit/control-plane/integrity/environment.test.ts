import { describe, expect, it } from 'vitest';
import { hmacSha256, sha256 } from '../../../../adapters/crypto/node-crypto.ts';
import {
  type EnvironmentRecord,
  environmentDifferences,
  environmentDigest,
  readEnvironment,
  valueDigest,
} from '../../../../control-plane/integrity/environment.ts';
import type { Json } from '../../../../domain/json.ts';

const keyed = (bytes: Uint8Array) => hmacSha256(new Uint8Array(32), bytes);
const digest = (text: string) => valueDigest(keyed, 'X', text);

const RECORD: EnvironmentRecord = {
  v: 1,
  files: [
    { role: 'program', path: '/usr/bin/node', digest: digest('node') },
    { role: 'lock', path: '/srv/x/package-lock.json', digest: digest('lock') },
  ],
  trees: [{ role: 'package', root: '/srv/x', digest: digest('tree'), files: 3 }],
  args: ['index.js', '--root', '/data'],
  cwd: '/srv/x',
  env: { TOKEN: valueDigest(keyed, 'TOKEN', 'secret'), MODE: valueDigest(keyed, 'MODE', 'fast') },
  uid: 1000,
  sandbox: null,
  store: null,
};

const CHANGES: readonly (readonly [string, Partial<EnvironmentRecord>, readonly { item: string; what: string }[]])[] = [
  [
    'the program',
    { files: RECORD.files.map((file) => ({ ...file, digest: digest('other') })) },
    [
      { item: 'file lock /srv/x/package-lock.json', what: 'changed' },
      { item: 'file program /usr/bin/node', what: 'changed' },
    ],
  ],
  [
    'the place of the program',
    { files: RECORD.files.map((file) => ({ ...file, path: file.path.replace('/usr/', '/opt/') })) },
    [
      { item: 'file program /opt/bin/node', what: 'added' },
      { item: 'file program /usr/bin/node', what: 'gone' },
    ],
  ],
  [
    'the tree',
    { trees: RECORD.trees.map((tree) => ({ ...tree, digest: digest('evil') })) },
    [{ item: 'tree package /srv/x', what: 'changed' }],
  ],
  ['an argument', { args: ['index.js', '--root', '/'] }, [{ item: 'argument 3', what: 'changed' }]],
  ['one argument more', { args: [...RECORD.args, '--all'] }, [{ item: 'argument 4', what: 'added' }]],
  ['one argument less', { args: RECORD.args.slice(0, 2) }, [{ item: 'argument 3', what: 'gone' }]],
  [
    'the order of arguments',
    { args: ['--root', 'index.js', '/data'] },
    [
      { item: 'argument 1', what: 'changed' },
      { item: 'argument 2', what: 'changed' },
    ],
  ],
  ['the folder', { cwd: '/tmp' }, [{ item: 'working directory', what: '/srv/x → /tmp' }]],
  [
    'a variable',
    { env: { ...RECORD.env, TOKEN: valueDigest(keyed, 'TOKEN', 'other') } },
    [{ item: 'variable TOKEN', what: 'changed' }],
  ],
  ['a variable more', { env: { ...RECORD.env, DEBUG: digest('1') } }, [{ item: 'variable DEBUG', what: 'added' }]],
  ['the user', { uid: 0 }, [{ item: 'user', what: '1000 → 0' }]],
  ['the sandbox', { sandbox: { network: 'none' } }, [{ item: 'sandbox', what: 'changed' }]],
  ['the copy', { store: digest('store') }, [{ item: 'store', what: 'changed' }]],
];

describe('the environment of a server', () => {
  it.each(CHANGES)('is another one with %s changed, and it is said which', (_what, change, differences) => {
    const changed = { ...RECORD, ...change };
    expect(environmentDigest(sha256, changed)).not.toBe(environmentDigest(sha256, RECORD));
    expect(environmentDifferences(RECORD, changed)).toEqual(differences);
  });

  it('is the same whatever the order of its members and variables', () => {
    const { MODE, TOKEN } = RECORD.env as {
      MODE: (typeof RECORD.files)[0]['digest'];
      TOKEN: (typeof RECORD.files)[0]['digest'];
    };
    const turned = Object.fromEntries(
      Object.entries({ ...RECORD, env: { MODE, TOKEN } }).reverse(),
    ) as EnvironmentRecord;
    expect(environmentDigest(sha256, turned)).toBe(environmentDigest(sha256, RECORD));
    expect(environmentDifferences(RECORD, turned)).toEqual([]);
  });

  it('gives no value of a variable away, not even to who tries values out', () => {
    expect(JSON.stringify(RECORD)).not.toContain('secret');
    const withoutKey = valueDigest(sha256, 'TOKEN', 'secret');
    expect(RECORD.env.TOKEN).not.toBe(withoutKey);
    expect(valueDigest(keyed, 'A', 'x\ny')).not.toBe(valueDigest(keyed, 'A\nx', 'y').slice(0, -1));
  });

  it('is not read from anything else', () => {
    const wrong: Json[] = [
      null,
      [],
      {},
      { ...RECORD, v: 2 },
      { ...RECORD, more: 1 },
      { ...RECORD, files: [{}] },
      { ...RECORD, trees: 'none' },
      { ...RECORD, args: [1] },
      { ...RECORD, env: { A: 'secret' } },
      { ...RECORD, uid: 'root' },
      { ...RECORD, sandbox: 'none' },
      { ...RECORD, store: 'here' },
    ];
    for (const json of wrong) expect(readEnvironment(json), JSON.stringify(json)).toBeUndefined();
  });

  it('is read as what it was', () => {
    expect(readEnvironment(JSON.parse(JSON.stringify(RECORD)))).toEqual(RECORD);
  });
});
