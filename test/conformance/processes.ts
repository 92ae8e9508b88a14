// The processes of a conformance run: the fixture, and a gate that allows everything in front of a server. Whoever starts one ends it.

import { fileURLToPath } from 'node:url';
import { Installation, RunningCommand } from '../support/cli.ts';
import type { Eras } from './fixture/eras.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const TYPESCRIPT = fileURLToPath(new URL('../support/typescript.mjs', import.meta.url));
const FIXTURE = fileURLToPath(new URL('fixture/main.ts', import.meta.url));
const START_MS = 60_000;

export interface Started {
  readonly url: string;
  close(): Promise<void>;
}

/** The command line of one of our TypeScript programs. */
export function program(file: string, ...args: readonly string[]): readonly string[] {
  return [process.execPath, '--import', TYPESCRIPT, file, ...args];
}

export function fixtureCommand(...args: readonly string[]): readonly string[] {
  return program(FIXTURE, ...args);
}

export async function startFixture(eras: Eras): Promise<Started> {
  const [command = '', ...args] = fixtureCommand('--eras', eras);
  const running = new RunningCommand(command, args, process.env, ROOT);
  await running.until(({ stdout }) => stdout.includes('\n'), START_MS);
  return { url: running.stdout.trim(), close: () => running.stop().then(() => undefined) };
}

export type Upstream = { readonly url: string } | { readonly command: readonly string[] };

export interface GateOptions {
  /** Instead of the rule that allows everything. */
  readonly rules?: string;
  /** Keeps the installation when it ends, and says where it is. */
  readonly keep?: (folder: string) => void;
}

const ALLOW_ALL = `
@id("allow-all") @reason("the suite measures what the gate carries, not what it refuses")
permit (principal, action, resource);
`;

/** Portcullis as a user starts it, on HTTP, for the local user, in front of one server called \`it\`. */
export async function startGate(upstream: Upstream, options: GateOptions = {}): Promise<Started> {
  const at = new Installation();
  const close = async (running?: RunningCommand): Promise<void> => {
    await running?.stop();
    if (options.keep) options.keep(at.folder);
    else await at.close();
  };
  const [command, ...args] = 'command' in upstream ? upstream.command : [];
  const server = 'url' in upstream ? { http: { url: upstream.url } } : { stdio: { command, args } };
  const config = at.configure(
    {
      namespace: 'Suite',
      agents: { suite: { roles: ['dev'], auth: 'local' } },
      servers: { it: server },
    },
    options.rules ?? ALLOW_ALL,
  );
  const running = at.start(['serve', '--config', config, '--http', '127.0.0.1:0']);
  try {
    await running.until(({ stderr }) => /listening on \S+/.test(stderr) && /: (open: |shut )/.test(stderr), START_MS);
  } catch (error) {
    await close(running);
    throw error;
  }
  const url = /listening on (\S+)/.exec(running.stderr)?.[1] ?? '';
  if (/: shut /.test(running.stderr)) process.stderr.write(running.stderr);
  return { url: `${url}/it`, close: () => close(running) };
}
