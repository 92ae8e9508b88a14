import { describe, expect, it } from 'vitest';
import { type PathSpec, pathFact } from '../../../../control-plane/policy/path-fact.ts';
import type { PathResolver } from '../../../../control-plane/policy/ports.ts';

/** A file system in which /srv/ws/link leads to /etc, and nothing else is a link. */
const FAKE: PathResolver = {
  real(path) {
    const parts: string[] = [];
    for (const part of path.split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    const lexical = `/${parts.join('/')}`;
    if (lexical.startsWith('/broken')) return { ok: false, reason: 'EACCES' };
    return { ok: true, path: lexical.replace(/^\/srv\/ws\/link(?=\/|$)/, '/etc') };
  },
};

const ABSOLUTE: PathSpec = {
  kind: 'path',
  from: ['/path'],
  relative: false,
  roots: { workspace: '/srv/ws', tmp: '/srv/ws/.tmp', lost: '/broken' },
  classes: { secrets: ['**/.ssh/**', '**/*.pem', '**/.env*'], system: ['/etc/**'] },
};
const RELATIVE: PathSpec = {
  kind: 'path',
  from: ['/path'],
  relative: true,
  roots: { docs: 'docs', top: '.' },
  classes: { ci: ['.github/**'] },
};

describe('a path fact', () => {
  it.each<[string, string]>([
    ['an empty path', ''],
    ['a NUL', '/srv/ws/a\0b'],
    ['a line feed', '/srv/ws/a\nb'],
    ['a home directory', '~/x'],
    ['another home directory', '~root/x'],
    ['a relative path', 'srv/ws/a'],
    ['a relative path with a dot', './a'],
    ['a Windows drive', 'C:\\srv\\ws'],
    ['a backslash', '/srv/ws\\..\\x'],
    ['a UNC path', '\\\\host\\share'],
    ['a file URL', 'file:///srv/ws/a'],
    ['percent-encoded dots', '/srv/ws/%2e%2e/x'],
    ['a percent-encoded separator', '/srv/ws/a%2Fb'],
    ['a percent-encoded percent sign', '/srv/ws/%252e%252e/x'],
    ['full-width dots', '/srv/ws/\uff0e\uff0e/x'],
    ['a two-dot leader', '/srv/ws/\u2025/x'],
    ['a full-width separator', '/srv/ws/..\uff0fx'],
    ['a full-width backslash', '/srv/ws\uff3c..\uff3cx'],
    ['more parents than there are', '/../srv/ws'],
    ['a path that cannot be resolved', '/broken/x'],
    ['a path that is too long', `/srv/ws/${'a'.repeat(4096)}`],
  ])('refuses %s', (_, path) => {
    expect(pathFact(ABSOLUTE, ['/srv/ws/fine', path], FAKE).ok).toBe(false);
  });

  it.each<[string, string[], string[], string[]]>([
    ['one inside', ['/srv/ws/a'], ['workspace'], []],
    ['the root itself', ['/srv/ws'], ['workspace'], []],
    ['the root with a slash', ['/srv/ws/'], ['workspace'], []],
    ['a nested root', ['/srv/ws/.tmp/a'], ['tmp', 'workspace'], []],
    ['not all in the nested root', ['/srv/ws/.tmp/a', '/srv/ws/a'], ['workspace'], []],
    ['a sibling whose name begins like the root', ['/srv/workspace/a'], [], []],
    ['a sibling whose name begins exactly like the root', ['/srv/wsevil'], [], []],
    ['one outside among many', ['/srv/ws/a', '/srv/ws/b', '/home/c'], [], []],
    ['a parent that leads out', ['/srv/ws/../etc/passwd'], [], []],
    ['a parent that leads back', ['/srv/ws/x/../a'], ['workspace'], []],
    ['doubled slashes and dots', ['//srv///ws/./a'], ['workspace'], []],
    ['another case', ['/SRV/WS/a'], [], []],
    ['a link that leads out', ['/srv/ws/link/passwd'], [], ['system']],
    ['a class', ['/srv/ws/.env.local'], ['workspace'], ['secrets']],
    ['a class hit by one of many', ['/srv/ws/a', '/srv/ws/.ssh/id'], ['workspace'], ['secrets']],
    ['the folder of a class itself', ['/srv/ws/.ssh'], ['workspace'], ['secrets']],
    ['a class in another case', ['/srv/ws/.SSH/id', '/srv/ws/KEY.PEM'], ['workspace'], ['secrets']],
    ['a class with characters that are not shown', ['/srv/ws/.s\u200bsh/id'], ['workspace'], ['secrets']],
    ['a class in full-width letters', ['/srv/ws/.\uff53\uff53\uff48/id'], ['workspace'], ['secrets']],
    ['a class with trailing dots', ['/srv/ws/a.pem. .'], ['workspace'], ['secrets']],
  ])('knows %s', (_, paths, within, touches) => {
    expect(pathFact(ABSOLUTE, paths, FAKE)).toEqual({ ok: true, within, touches });
  });

  it('refuses paths that together would take long to judge', () => {
    const long = `/srv/ws${'/a'.repeat(1000)}`;
    expect(
      pathFact(
        ABSOLUTE,
        Array.from({ length: 8 }, () => long),
        FAKE,
      ).ok,
    ).toBe(true);
    expect(
      pathFact(
        ABSOLUTE,
        Array.from({ length: 9 }, () => long),
        FAKE,
      ).ok,
    ).toBe(false);
  });

  it.each<[string, string, string[] | undefined, string[]]>([
    ['a plain one', 'docs/a.md', ['docs', 'top'], []],
    ['a way around', 'docs/../.github/workflows/x.yml', ['top'], ['ci']],
    ['a way above', '../x', undefined, []],
    ['a way above and back', 'docs/../../x', undefined, []],
    ['an absolute one', '/docs/a.md', undefined, []],
    ['a class in another case', '.GitHub/x', ['top'], ['ci']],
  ])('judges relative paths: %s', (_, path, within, touches) => {
    const fact = pathFact(RELATIVE, [path], FAKE);
    if (within === undefined) expect(fact.ok).toBe(false);
    else expect(fact).toEqual({ ok: true, within, touches });
  });
});
