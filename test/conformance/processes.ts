// The processes of a conformance run: the fixture, and a gate that allows everything in front of a server. Whoever starts one ends it.

import { fileURLToPath } from 'node:url';
import { Installation, RunningCommand } from '../support/cli.ts';
import { logInWhenAsked } from '../support/operator.ts';
import type { Eras } from './fixture/eras.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const TYPESCRIPT = fileURLToPath(new URL('../support/typescript.mjs', import.meta.url));
const FIXTURE = fileURLToPath(new URL('fixture/main.ts', import.meta.url));
const START_MS = 60_000;
const OPEN_MS = 8_000;

export interface Started {
  readonly url: string;
  close(): Promise<void>;
}

/** The command line of one of our TypeScript programs. */
export function program(file: string, ...args: readonly string[]): readonly string[] {
  return [process.execPath, '--import', TYPESCRIPT, file, ...args];
}

/** The command line of a fixture: of ours, or of another program that takes the same options and says the same. */
export function fixtureCommand(args: readonly string[], file: string = FIXTURE): readonly string[] {
  return program(file, ...args);
}

export async function startFixture(eras: Eras, file?: string): Promise<Started> {
  const [command = '', ...args] = fixtureCommand(['--eras', eras], file);
  const running = new RunningCommand(command, args, process.env, ROOT);
  await running.until(({ stdout }) => stdout.includes('\n'), START_MS);
  return { url: running.stdout.trim(), close: () => running.stop().then(() => undefined) };
}

export type Upstream =
  | { readonly http: { readonly url: string; readonly oauth?: object } }
  /** `era` as in a manifest: a process that speaks both is spoken to in both only where that is said. */
  | { readonly command: readonly string[]; readonly era?: 'both' };

export interface GateOptions {
  /** Instead of the rule that allows everything. */
  readonly rules?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Somebody logs in when the gate asks for it. */
  readonly operator?: boolean;
  /** Keeps the installation when it ends, and says where it is. */
  readonly keep?: (folder: string) => void;
}

const ALLOW_ALL = `
@id("allow-all") @reason("the suite measures what the gate carries, not what it refuses")
permit (principal, action, resource);
`;

/** An installation whose user has more in the environment: the gate and the logins get it alike. */
class Equipped extends Installation {
  readonly #more: Readonly<Record<string, string>>;

  constructor(more: Readonly<Record<string, string>>) {
    super();
    this.#more = more;
  }

  override get env(): Record<string, string> {
    return { ...super.env, ...this.#more };
  }
}

function stdioOf({ command: [command, ...args], era }: Extract<Upstream, { command: unknown }>): object {
  return { command, args, ...(era === undefined ? {} : { era }) };
}

/**
 * Portcullis as a user starts it, on HTTP, for the local user, in front of one server called \`it\`. A gate that has not opened after a while is
 * handed out as it is: what its clients get then is measured too.
 */
export async function startGate(upstream: Upstream, options: GateOptions = {}): Promise<Started> {
  const at = new Equipped(options.env ?? {});
  let endWatch: (() => Promise<unknown>) | undefined;
  const close = async (running: RunningCommand): Promise<void> => {
    await endWatch?.();
    await running.stop();
    if (options.keep) options.keep(at.folder);
    else await at.close();
  };
  const config = at.configure(
    {
      namespace: 'Suite',
      agents: { suite: { roles: ['dev'], auth: 'local' } },
      servers: { it: 'http' in upstream ? { http: upstream.http } : { stdio: stdioOf(upstream) } },
    },
    options.rules ?? ALLOW_ALL,
  );
  const running = at.start(['serve', '--config', config, '--http', '127.0.0.1:0']);
  if (options.operator) endWatch = logInWhenAsked(running, at, 'it');
  try {
    await running.until(({ stderr }) => /listening on \S+/.test(stderr), START_MS);
  } catch (error) {
    await close(running);
    throw error;
  }
  await running.until(({ stderr }) => /: (open: |shut )/.test(stderr), OPEN_MS).catch(() => undefined);
  if (!/: open: /.test(running.stderr)) process.stderr.write(running.stderr);
  const url = /listening on (\S+)/.exec(running.stderr)?.[1] ?? '';
  return { url: `${url}/it`, close: () => close(running) };
}
