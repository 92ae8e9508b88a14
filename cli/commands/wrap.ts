// portcullis wrap: stands in for one server in a client's configuration. It joins the gate that all such entries share, or is a gate of its own.

import { serveStdio } from '../../adapters/downstream/stdio.ts';
import type { DecidingThread } from '../../adapters/policy-engine/deciding-thread.ts';
import type { Configuration } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { findHome } from '../home.ts';
import { localPrincipal } from '../identity.ts';
import { loadConfiguration, onStop, openGate } from '../open-gate.ts';
import { CommandError, type Output } from '../output.ts';
import { initCommand } from '../review-command.ts';
import { type CommandLine, launchOf, unlistedServer } from '../servers.ts';
import { wrappedServer } from '../wrapped-server.ts';

export interface WrapOptions {
  readonly config?: string;
  readonly name?: string;
  readonly agent?: string;
  readonly alone?: boolean;
}

/** A gate of its own for one client and one server. `line` is absent where the manifest says how the server is reached. */
export async function wrap(
  options: WrapOptions,
  line: CommandLine | undefined,
  out: Output,
  deciding?: DecidingThread,
): Promise<number> {
  const home = findHome();
  const configuration = loadConfiguration(home, options.config);
  const { name, server = unlistedServer(line ?? { command: '', args: [] }) } = wrappedServer(
    options.name,
    line,
    configuration,
  );
  const isListed = configuration?.manifest.servers[name] !== undefined;
  const principal = localPrincipal(isListed ? configuration.manifest : undefined, options.agent);
  const launch = await launchOf(name, server, configuration === undefined ? '.' : baseOf(configuration));
  const command = line ?? { command: 'COMMAND', args: ['ARGS...'] };
  const hint = missingPolicyHint(
    home.config,
    configuration,
    name,
    initCommand(name, command, configuration, launch.ranIn),
  );
  if (!isListed) out.note(hint);
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
