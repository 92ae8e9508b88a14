import { describe, expect, it } from 'vitest';
import { npmName, packageRunner } from '../../../../control-plane/integrity/package-runner.ts';

describe('a command that fetches what it runs', () => {
  it.each([
    ['npx -y @scope/server@1.2.3 /srv', 'npm', '@scope/server@1.2.3', undefined, ['/srv']],
    ['npx server', 'npm', 'server', undefined, []],
    ['/usr/local/bin/npx --yes server -- --flag', 'npm', 'server', undefined, ['--', '--flag']],
    ['npx -y -p @scope/pkg tool --x', 'npm', '@scope/pkg', 'tool', ['--x']],
    ['npx --package=pkg@2 -- tool', 'npm', 'pkg@2', 'tool', []],
    ['npm exec -y pkg', 'npm', 'pkg', undefined, []],
    ['pnpm dlx pkg a', 'npm', 'pkg', undefined, ['a']],
    ['bunx pkg', 'npm', 'pkg', undefined, []],
    ['uvx mcp-server-git --repository /r', 'python', 'mcp-server-git', undefined, ['--repository', '/r']],
    ['uv tool run thing', 'python', 'thing', undefined, []],
    ['pipx run thing', 'python', 'thing', undefined, []],
    ['npx.cmd -y pkg', 'npm', 'pkg', undefined, []],
  ])('is seen as one: %s', (line, ecosystem, spec, bin, args) => {
    const [command = '', ...words] = line.split(' ');
    expect(packageRunner(command, words)).toMatchObject({ ecosystem, spec, bin, args });
  });

  it.each([
    'npx -p a -p b tool',
    'npx --call "x"',
    'npx',
    'npx --node-arg=--x pkg',
    'uvx --from a b',
    'uv run --with x y.py',
  ])('is one that does not say plainly what: %s', (line) => {
    const [command = '', ...words] = line.split(' ');
    expect(packageRunner(command, words)).toMatchObject({ spec: undefined });
  });

  it.each(['node npx', 'npm start', 'uv --version', 'pnpm run x', 'npxx pkg', 'python -m x', 'bun run x.ts'])(
    'is not what runs what is there: %s',
    (line) => {
      const [command = '', ...words] = line.split(' ');
      expect(packageRunner(command, words)).toBeUndefined();
    },
  );

  it('names a package, and no file or address', () => {
    expect(['pkg', 'pkg@1', '@s/p', '@s/p@^2', 'pkg@latest'].map(npmName)).toEqual([
      'pkg',
      'pkg',
      '@s/p',
      '@s/p',
      'pkg',
    ]);
    for (const spec of ['./pkg', 'file:x', '/srv/pkg.tgz', 'https://x/y', 'git+ssh://x', 'user/repo', '', '@s'])
      expect(npmName(spec), spec).toBeUndefined();
  });
});
