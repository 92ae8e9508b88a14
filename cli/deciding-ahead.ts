// The deciding thread takes longest to load, and a client that starts us waits for it: for a command that needs one it begins before all else
// is loaded. Whatever the command turns out to be, a thread that was told nothing decides nothing and keeps no process alive.

import type { DecidingThread } from '../adapters/policy-engine/deciding-thread.ts';

const NEED_ONE: readonly string[] = ['wrap', 'serve', 'gate'];

async function load(): Promise<DecidingThread> {
  const { DecidingThread } = await import('../adapters/policy-engine/deciding-thread.ts');
  return new DecidingThread();
}

const ahead = NEED_ONE.includes(process.argv[2] ?? '') ? load() : undefined;
// Loading anything else has to wait until the thread runs. If it cannot run, the command says so.
await ahead?.catch(() => undefined);

/** The thread that is loading already, or a new one where the command line did not begin with its command. Asked once. */
export function decidingThread(): Promise<DecidingThread> {
  return ahead ?? load();
}
