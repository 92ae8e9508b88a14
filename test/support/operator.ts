// An operator at a command line who does what the gate says: logs in with a browser that consents to everything at once.

import type { Installation, RunningCommand } from './cli.ts';
import { browse } from './protected-server.ts';

export interface LoggedIn {
  readonly code: number | null;
  /** Everything the command said, on both streams. */
  readonly shown: string;
}

/** `portcullis login SERVER`, to its end. */
export async function logIn(at: Installation, server: string, ...options: readonly string[]): Promise<LoggedIn> {
  const running = at.start(['login', server, '--json', ...options]);
  await Promise.race([running.ended, running.until(({ stdout }) => stdout.includes('\n')).catch(() => undefined)]);
  const [first = ''] = running.stdout.split('\n', 1);
  const { open } = (first === '' ? {} : JSON.parse(first)) as { open?: string };
  if (open !== undefined) await browse(new URL(open));
  const { code, stdout, stderr } = await running.ended;
  return { code, shown: stdout + stderr };
}

/**
 * Logs in each time the gate asks for it, at most `most` times: a person who is asked for the same thing again and again gives up. Returns
 * what ends the watch.
 */
export function logInWhenAsked(
  gate: RunningCommand,
  at: Installation,
  server: string,
  most = 3,
): () => Promise<number> {
  const asks = new RegExp(`^portcullis: server ${server}: (?!the server ).*run portcullis login ${server}$`, 'gm');
  let done = 0;
  let busy: Promise<unknown> = Promise.resolve();
  const look = setInterval(() => {
    const asked = gate.stderr.match(asks)?.length ?? 0;
    if (done >= Math.min(asked, most)) return;
    done++;
    busy = busy.then(() => logIn(at, server));
  }, 50);
  return async () => {
    clearInterval(look);
    await busy;
    return done;
  };
}
