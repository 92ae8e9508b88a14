// Which server stands behind one entry of a client's configuration, and who calls it there. The manifest decides; a command line that says something
// else than the manifest is refused.

import { basename } from 'node:path';
import type { ManifestServer } from '../control-plane/policy/manifest.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import type { Configuration } from './configuration.ts';
import { EXIT } from './exit-codes.ts';
import { CommandError } from './output.ts';
import type { CommandLine } from './servers.ts';

export interface WrappedServer {
  readonly name: string;
  /** Undefined where the manifest does not list it. */
  readonly server: ManifestServer | undefined;
}

/** Throws a CommandError where the entry cannot mean a server, or means another one than the manifest. `line` is absent where the manifest says it all. */
export function wrappedServer(
  given: string | undefined,
  line: CommandLine | undefined,
  configuration: Configuration | undefined,
): WrappedServer {
  const name = serverName(given, line, configuration);
  const listed = configuration?.manifest.servers ?? {};
  const server = Object.hasOwn(listed, name) ? listed[name] : undefined;
  if (server === undefined && line === undefined) {
    throw new CommandError(`the manifest lists no server "${name}"`, EXIT.usage, [
      'add it under servers:, or give the command that starts it: portcullis wrap --name NAME -- COMMAND ARGS...',
    ]);
  }
  if (configuration !== undefined && server !== undefined && line !== undefined)
    mustBeTheSame(configuration, name, server, line);
  return { name, server };
}

const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** The name given, or the one of the manifest's server with this very command, or one made from the command. */
export function serverName(
  given: string | undefined,
  line: CommandLine | undefined,
  configuration: Configuration | undefined,
): string {
  if (given !== undefined) {
    if (!NAME.test(given) || given.includes('__') || given.endsWith('_')) {
      throw new CommandError(`"${given}" cannot name a server`, EXIT.usage, [
        'use 1 to 64 letters, digits, "_" and "-", without "__" and without "_" at the end',
      ]);
    }
    return given;
  }
  if (line === undefined) {
    throw new CommandError('which server?', EXIT.usage, [
      'give the command that starts it, or --name with a server of the manifest',
    ]);
  }
  const known = Object.entries(configuration?.manifest.servers ?? {}).find(([, server]) => sameCommand(server, line));
  if (known !== undefined) return known[0];
  return nameFromCommand(line);
}

/** `npx -y @scope/server-filesystem /srv` and `node dist/server-filesystem.js` are both best called what their package is called. */
export function nameFromCommand(line: CommandLine): string {
  const runner = ['npx', 'node', 'uvx', 'bunx', 'python', 'python3', 'deno', 'bun'].includes(basename(line.command));
  const named = runner ? line.args.find((arg) => !arg.startsWith('-') && arg !== 'run') : undefined;
  const packageName = /([^/]+)\/dist\/index\.[cm]?js$/.exec(named ?? '')?.[1];
  const base = (packageName ?? basename(named ?? line.command))
    .replace(/@[^@]*$/, '')
    .replace(/\.[cm]?[jt]s$|\.py$/, '')
    .replace(/^(mcp-)?server-/, '');
  const clean = base
    .replace(/[^A-Za-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 64);
  return clean === '' ? 'server' : clean;
}

function sameCommand(server: ManifestServer, line: CommandLine): boolean {
  return (
    server.stdio !== undefined &&
    canonicalJson([server.stdio.command, server.stdio.args]) === canonicalJson([line.command, [...line.args]])
  );
}

function mustBeTheSame(configuration: Configuration, name: string, server: ManifestServer, line: CommandLine): void {
  if (sameCommand(server, line)) return;
  const configured =
    server.stdio === undefined ? 'an HTTP server' : [server.stdio.command, ...server.stdio.args].join(' ');
  throw new CommandError(`servers.${name} in ${configuration.file} is another command`, EXIT.usage, [
    `configured: ${configured}`,
    `given:      ${[line.command, ...line.args].join(' ')}`,
    'make them the same, or choose another --name',
  ]);
}
