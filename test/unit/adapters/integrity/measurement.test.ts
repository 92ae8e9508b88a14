import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CommandLine } from '../../../../adapters/integrity/command-files.ts';
import { FileDigests } from '../../../../adapters/integrity/file-digests.ts';
import { isMeasurement, type Measurement, measure } from '../../../../adapters/integrity/measurement.ts';

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'portcullis-'));
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

const at = (path: string): string => join(home, path);

function put(path: string, text = path, mode = 0o644): string {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(path), text);
  chmodSync(at(path), mode);
  return at(path);
}

/** A program by the name of an interpreter: it is measured, never run. */
function world(): CommandLine {
  put('bin/node', 'the interpreter', 0o755);
  put(
    'srv/package.json',
    JSON.stringify({ name: 'srv', dependencies: { needed: '1' }, devDependencies: { unneeded: '1' } }),
  );
  put('srv/dist/index.js');
  put('srv/dist/package.json', JSON.stringify({ type: 'module' }));
  put('srv/node_modules/needed/package.json', JSON.stringify({ name: 'needed', dependencies: { deeper: '1' } }));
  put('srv/node_modules/needed/index.js');
  put('srv/node_modules/deeper/package.json', JSON.stringify({ name: 'deeper' }));
  put('srv/node_modules/unneeded/package.json', JSON.stringify({ name: 'unneeded' }));
  put('srv/package-lock.json', '{}');
  put('srv/.git/HEAD');
  symlinkSync('dist/index.js', at('srv/latest.js'));
  return { command: 'node', args: ['--enable-source-maps', 'dist/index.js', '/data'], cwd: at('srv'), path: at('bin') };
}

function measured(line: CommandLine, digests = new FileDigests()): Measurement {
  const found = measure(line, digests);
  if (!isMeasurement(found)) throw new Error('nothing was read');
  return found;
}

const contents = ({ files, trees }: Measurement): string =>
  JSON.stringify([files, trees.map(({ text, ...tree }) => tree)]);

describe('what is measured of a command', () => {
  it('refuses a command that is not there, and a tree that is not', () => {
    expect(() => measured({ command: 'node', args: [], cwd: home, path: at('nowhere') })).toThrow('command not found');
    expect(() => measured({ command: './gone', args: [], cwd: home, path: undefined })).toThrow('not found');
  });

  it('is the program, the script, its package, the packages that those declare, and the lock file', () => {
    const line = world();
    const { files, trees, entryAt } = measured(line);
    expect(files.map(({ role, path }) => [role, path])).toEqual([
      ['program', at('bin/node')],
      ['entry', at('srv/dist/index.js')],
      ['lock', at('srv/package-lock.json')],
    ]);
    expect(trees.map(({ role, root }) => [role, root])).toEqual([
      ['package', at('srv')],
      ['dependency', at('srv/node_modules/needed')],
      ['dependency', at('srv/node_modules/deeper')],
    ]);
    expect(entryAt).toBe(1);
  });

  it('is of a script the interpreter, and of what `env` finds both', () => {
    world();
    put('srv/run.js', '#!/usr/bin/env -S node --flag\n', 0o755);
    const { files, trees } = measured({ command: './run.js', args: [], cwd: at('srv'), path: at('bin') });
    expect(files.map(({ role, path }) => [role, path.split('/').at(-1)])).toContainEqual(['entry', 'run.js']);
    expect(files[0]).toMatchObject({ role: 'program', path: at('bin/node') });
    expect(files.some(({ role }) => role === 'interpreter')).toBe(true);
    expect(trees[0]?.root).toBe(at('srv'));
  });

  it('is of a plain program the file', () => {
    put('bin/tool', 'binary', 0o755);
    const { files, trees } = measured({ command: 'tool', args: ['index.js'], cwd: home, path: at('bin') });
    expect(files.map(({ role }) => role)).toEqual(['program']);
    expect(trees).toEqual([]);
  });

  it('is of a Python its virtual environment', () => {
    put('real/python3.11', 'the interpreter', 0o755);
    put('venv/pyvenv.cfg');
    put('venv/lib/site-packages/server.py');
    mkdirSync(at('venv/bin'));
    symlinkSync(at('real/python3.11'), at('venv/bin/python'));
    const { files, trees } = measured({ command: at('venv/bin/python'), args: ['-m', 'server'], cwd: home, path: '' });
    expect(files[0]?.path).toBe(at('real/python3.11'));
    expect(trees.map(({ role, root }) => [role, root])).toEqual([['python', at('venv')]]);
  });

  it('is of code that stands in the arguments the program alone', () => {
    world();
    const { files } = measured({ command: 'node', args: ['-e', 'dist/index.js'], cwd: at('srv'), path: at('bin') });
    expect(files.map(({ role }) => role)).toEqual(['program']);
  });

  it('follows a link to another folder, and measures what lies there', () => {
    const line = world();
    put('elsewhere/plugin.js');
    symlinkSync(at('elsewhere'), at('srv/plugins'));
    const before = measured(line);
    expect(before.trees.map(({ role, root }) => [role, root])).toContainEqual(['linked', at('elsewhere')]);
    put('elsewhere/plugin.js', 'changed');
    expect(contents(measured(line))).not.toBe(contents(before));
  });
});

/** Same size, and the times that can be set are set back. */
function forge(path: string): void {
  const { atime, mtime } = statSync(at(path));
  writeFileSync(at(path), readFileSync(at(path), 'utf8').replace(/.$/, '_'));
  utimesSync(at(path), atime, mtime);
}

const CHANGES: readonly (readonly [string, () => void])[] = [
  ['the program was replaced', () => put('bin/node', 'another interpreter', 0o755)],
  ['a file has other content of the same size and the times of before', () => forge('srv/dist/index.js')],
  ['a file of a dependency has', () => forge('srv/node_modules/needed/index.js')],
  [
    'a file was renamed over',
    () => {
      put('srv/dist/new.js', 'evil');
      renameSync(at('srv/dist/new.js'), at('srv/dist/index.js'));
    },
  ],
  [
    'a folder was swapped for another',
    () => {
      put('swap/index.js', 'evil');
      renameSync(at('srv/dist'), at('old'));
      renameSync(at('swap'), at('srv/dist'));
    },
  ],
  [
    'the target of a link was moved',
    () => {
      unlinkSync(at('srv/latest.js'));
      symlinkSync('dist/package.json', at('srv/latest.js'));
    },
  ],
  ['the lock file changed', () => put('srv/package-lock.json', '{"evil":1}')],
  ['a file was added', () => put('srv/dist/evil.js')],
  ['a file went', () => unlinkSync(at('srv/dist/package.json'))],
  ['a mode changed', () => chmodSync(at('srv/dist/index.js'), 0o777)],
  [
    'a nearer package of the same name came',
    () => put('srv/node_modules/needed/node_modules/deeper/package.json', '{"name":"deeper"}'),
  ],
];

describe('a measurement', () => {
  it.each(CHANGES)('is another one when %s', (_what, change) => {
    const line = world();
    const digests = new FileDigests();
    const before = measured(line, digests);
    change();
    const now = measure(line, digests, before.fingerprint);
    if (!isMeasurement(now)) throw new Error('nobody noticed');
    expect(contents(now)).not.toBe(contents(before));
  });

  it.each<[string, () => void]>([
    ['nothing changed', () => undefined],
    ['a file was touched', () => utimesSync(at('srv/dist/index.js'), 1, 1)],
    [
      'a file was written again with the same content',
      () => {
        unlinkSync(at('srv/dist/index.js'));
        put('srv/dist/index.js', 'srv/dist/index.js');
      },
    ],
    ['a file came that does not belong to it', () => put('data/file')],
    [
      'a package changed that it does not need',
      () => put('srv/node_modules/unneeded/package.json', '{"name":"unneeded","x":1}'),
    ],
    ['something was committed', () => put('srv/.git/HEAD', 'another')],
  ])('has the same contents when %s', (_what, change) => {
    const line = world();
    const before = measured(line);
    change();
    expect(contents(measured(line))).toBe(contents(before));
  });

  it('reads nothing again where no state changed', () => {
    const line = world();
    const before = measured(line);
    const digests = new FileDigests();
    expect(isMeasurement(measure(line, digests, before.fingerprint))).toBe(false);
    expect(digests.read).toBe(0);
  });

  it('reads again what changed a moment before it was read', () => {
    const line = world();
    const early = new FileDigests();
    measured(line, early);
    const once = early.read;
    measured(line, early);
    expect(early.read).toBe(2 * once);
    const late = new FileDigests(() => Date.now() + 10_000);
    measured(line, late);
    const settled = late.read;
    measured(line, late);
    expect(late.read).toBe(settled);
  });
});
