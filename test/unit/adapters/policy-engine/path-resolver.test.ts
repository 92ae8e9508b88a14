import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileSystemPaths } from '../../../../adapters/policy-engine/path-resolver.ts';
import { pathFact } from '../../../../control-plane/policy/path-fact.ts';

describe('where a path leads', () => {
  let home = '';
  const at = (path: string): string => `${home}/${path}`;
  const real = (path: string): string => {
    const result = fileSystemPaths.real(path);
    return result.ok ? result.path.replace(`${home}/`, '') : `refused: ${result.reason}`;
  };

  beforeAll(() => {
    home = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-')));
    mkdirSync(at('ws/deep/er'), { recursive: true });
    mkdirSync(at('outside/in'), { recursive: true });
    writeFileSync(at('ws/file'), '');
    symlinkSync(at('outside'), at('ws/out'));
    symlinkSync(at('outside/in'), at('ws/deeplink'));
    symlinkSync(at('ws/deep'), at('ws/inlink'));
    symlinkSync(at('nowhere'), at('ws/dangling'));
    symlinkSync('loop', at('ws/loop'));
    symlinkSync('../outside', at('ws/relative'));
    symlinkSync(at('ws'), at('alias'));
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it.each<[string, string]>([
    ['ws/dangling', 'refused: a link leads nowhere'],
    ['ws/dangling/x', 'refused: a link leads nowhere'],
    ['ws/loop', 'refused: ELOOP'],
    ['ws/loop/x', 'refused: ELOOP'],
    ['ws/file/x', 'refused: ENOTDIR'],
    ['ws/deeplink/../x', 'refused: ".." behind a link'],
    ['ws/deeplink/nothing/../../x', 'refused: ".." behind a link'],
    ['ws/out/../x', 'refused: ".." behind a link'],
    ['ws/dangling/../x', 'refused: ".." behind a link'],
    ['ws/file', 'ws/file'],
    ['ws/nothing/../file', 'ws/file'],
    ['ws/out/in/../new', 'outside/new'],
    ['ws/./deep//er/', 'ws/deep/er'],
    ['ws/deep/../file', 'ws/file'],
    ['ws/new', 'ws/new'],
    ['ws/new/and/deep/er', 'ws/new/and/deep/er'],
    ['ws/out/secret', 'outside/secret'],
    ['ws/out/new/deep', 'outside/new/deep'],
    ['ws/relative/x', 'outside/x'],
    ['ws/inlink/x', 'ws/deep/x'],
    ['alias/file', 'ws/file'],
  ])('%s: %s', (path, expected) => {
    expect(real(at(path))).toBe(expected);
  });

  it.each(['', 'ws', '/proc/self/cwd/x', '/proc/self/root/etc', '/dev/fd/0', '/a\0b'])('refuses %j', (path) => {
    expect(fileSystemPaths.real(path).ok).toBe(false);
  });

  it('makes a root that is a link contain what lies behind it', () => {
    const spec = {
      kind: 'path' as const,
      from: ['/p'],
      relative: false,
      roots: { alias: at('alias') },
      classes: { outside: [`${home}/outside/**`] },
    };
    expect(pathFact(spec, [at('ws/file')], fileSystemPaths)).toEqual({ ok: true, within: ['alias'], touches: [] });
    expect(pathFact(spec, [at('ws/out/x')], fileSystemPaths)).toEqual({ ok: true, within: [], touches: ['outside'] });
  });
});
