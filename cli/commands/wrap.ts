// portcullis wrap: stands in for one stdio server in a client's configuration.

import { basename } from 'node:path';
import { serveStdio } from '../../adapters/downstream/stdio.ts';
import type { DecidingThread } from '../../adapters/policy-engine/deciding-thread.ts';
import type { ManifestServer } from '../../control-plane/policy/manifest.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Configuration } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { findHome } from '../home.ts';
import { localPrincipal } from '../identity.ts';
import { loadConfiguration, onStop, openGate } from '../open-gate.ts';
import { CommandError, type Output } from '../output.ts';
import { initCommand } from '../review-command.ts';
import { type CommandLine, launchOf, unlistedServer } from '../servers.ts';

export interface WrapOptions {
  readonly config?: string;
  readonly name?: string;
  readonly agent?: string;
}

export async function wrap(
  options: WrapOptions,
  line: CommandLine,
  out: Output,
  deciding?: DecidingThread,
): Promise<number> {
  const home = findHome();
  const configuration = loadConfiguration(home, options.config);
  const name = serverName(options.name, line, configuration);
  const server = configuration?.manifest.servers[name];
  if (configuration !== undefined && server !== undefined) mustBeTheSame(configuration, name, server, line);
  const principal = localPrincipal(server === undefined ? undefined : configuration?.manifest, options.agent);
  const launch = await launchOf(
    name,
    server ?? unlistedServer(line),
    configuration === undefined ? '.' : baseOf(configuration),
  );
  const hint = missingPolicyHint(
    home.config,
    configuration,
    name,
    initCommand(name, line, configuration, launch.ranIn),
  );
  if (server === undefined) out.note(hint);
  const { gate } = await openGate(
    { home, name, configuration, launches: [launch], missingPolicyHint: hint, oneClient: true, deciding },
    out,
  );
  const session = gate.sessions.open({ principal }, { kind: 'server', server: name });
  if ('code' in session) throw new CommandError(`the gate does not serve ${name}: ${session.code}`, EXIT.gateShut);
  const front = serveStdio({ session, input: process.stdin, output: process.stdout });
  onStop(() => void front.close());
  await front.ended;
  await gate.close();
  return EXIT.ok;
}

function baseOf(configuration: Configuration): string {
  return configuration.file.replace(/[^/\\]*$/, '');
}

const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** The name given, or the one of the manifest's server with this very command, or one made from the command. */
export function serverName(
  given: string | undefined,
  line: CommandLine,
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

function missingPolicyHint(
  folder: string,
  configuration: Configuration | undefined,
  name: string,
  command: string,
): string {
  const file = configuration?.file ?? `${folder}/portcullis.yaml`;
  const why = configuration === undefined ? `There is no ${file} yet` : `${file} does not list the server ${name}`;
  return `${why}, so every call is denied. To allow calls, run: ${command}; then edit the rules it writes beside ${file}. What would allow a call: portcullis policy explain`;
}
