// Commands that fetch what they run: `npx -y pkg`, `uvx pkg` and their like. What such a command will run is decided anew with every start, so it cannot be
// measured before; this file only reads what was asked for. It fetches nothing.

export type PackageRunner = {
  /** As it was called. */
  readonly runner: string;
  readonly ecosystem: 'npm' | 'python';
  /** What to install: a name with a version or a range, a file or an address. Undefined where the command line does not say it plainly. */
  readonly spec: string | undefined;
  /** The program of the package to run, where it is named apart. */
  readonly bin: string | undefined;
  /** For the program. */
  readonly args: readonly string[];
};

type Words = readonly string[];

/** Undefined for a command that runs what is already there. */
export function packageRunner(command: string, args: Words): PackageRunner | undefined {
  const name =
    command
      .split(/[/\\]/)
      .at(-1)
      ?.replace(/\.(?:cmd|exe|ps1)$/i, '') ?? '';
  const [first, second] = args;
  if (name === 'npx' || name === 'pnpx' || name === 'bunx') return ofNpm(name, args);
  if (name === 'npm' && (first === 'exec' || first === 'x')) return ofNpm('npm exec', args.slice(1));
  if ((name === 'pnpm' || name === 'yarn') && first === 'dlx') return ofNpm(`${name} dlx`, args.slice(1));
  if (name === 'bun' && first === 'x') return ofNpm('bun x', args.slice(1));
  if (name === 'uvx') return ofPython('uvx', args);
  if (name === 'uv' && first === 'tool' && second === 'run') return ofPython('uv tool run', args.slice(2));
  // `uv run` makes or changes an environment before it starts anything.
  if (name === 'uv' && first === 'run') return ofPython('uv run', args.slice(1));
  if (name === 'pipx' && first === 'run') return ofPython('pipx run', args.slice(1));
  return undefined;
}

/** The name in a specification of npm: `@scope/pkg@1` is `@scope/pkg`. Undefined for files and addresses. */
export function npmName(spec: string): string | undefined {
  const found = /^((?:@[a-z0-9~._-]+\/)?[a-z0-9~_-][a-z0-9~._-]*)(?:@[^/:\s]*)?$/i.exec(spec);
  return found?.[1];
}

const NPM_FLAGS = new Set([
  '-y',
  '--yes',
  '-q',
  '--quiet',
  '--silent',
  '-s',
  '--prefer-offline',
  '--prefer-online',
  '--offline',
  '--bun',
  '--no-install',
]);

function ofNpm(runner: string, words: Words): PackageRunner {
  let named: string | undefined;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const rest = words.slice(at + 1);
    if (word === '--' || !word.startsWith('-')) {
      const [program, args] = word === '--' ? [rest[0], rest.slice(1)] : [word, rest];
      if (named === undefined) return { runner, ecosystem: 'npm', spec: program, bin: undefined, args };
      return { runner, ecosystem: 'npm', spec: named, bin: program, args };
    }
    const package_ = /^(?:-p|--package)(?:=(.*))?$/s.exec(word);
    if (package_ !== null && named === undefined) {
      named = package_[1] ?? rest[0];
      if (package_[1] === undefined) at += 1;
    } else if (!NPM_FLAGS.has(word)) {
      // Several packages, or an option whose meaning is not known here.
      break;
    }
  }
  return { runner, ecosystem: 'npm', spec: undefined, bin: undefined, args: [] };
}

function ofPython(runner: string, words: Words): PackageRunner {
  const at = words.findIndex((word) => !word.startsWith('-'));
  const plain = at === 0;
  return {
    runner,
    ecosystem: 'python',
    spec: plain ? words[0] : undefined,
    bin: undefined,
    args: plain ? words.slice(1) : [],
  };
}
