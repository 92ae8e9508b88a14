// Finds out by trying what this machine has to hold a server's process. One trial is the rule, a few milliseconds of another process; a machine
// that has less is asked again for less.

import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { Enclosure, MachineMeans } from './launch-plan.ts';
import { type Ceilings, readCeilings } from './resources.ts';

/** Fixed places: a name looked up in PATH could be anybody's. */
const FOLDERS = ['/usr/bin', '/bin'];
const TRIAL_MS = 5_000;

/**
 * Starts its arguments and exits as they did; stands for nothing else. It holds its own words back from the server's standard error, and what a
 * shell adds to the environment from the server.
 */
const INIT = 'unset PWD OLDPWD; exec 9>&2 2>/dev/null; ( exec "$@" 2>&9 9>&- ); exit $?';

/** What nothing is known of. */
export const NO_MEANS: MachineMeans = { setpriv: undefined, prlimit: undefined, enclosure: undefined, ceilings: {} };

/** What this machine has. Never rejects. Ask once per process. */
export async function findMachineMeans(): Promise<MachineMeans> {
  if (process.platform !== 'linux') return NO_MEANS;
  const [setpriv, prlimit, unshare, sh, env] = ['setpriv', 'prlimit', 'unshare', 'sh', 'env'].map(placeOf);
  const ceilings = ourCeilings();
  if (setpriv !== undefined && prlimit !== undefined && unshare !== undefined && env !== undefined) {
    for (const enclosure of enclosures(unshare, sh)) {
      const trial = [setpriv, '--pdeathsig', 'KILL', '--', ...enclosure.before, prlimit, '--core=0:0', '--'];
      // An empty environment has to arrive as one.
      if ((await outputOf([...trial, ...(enclosure.init ?? []), env])) === '')
        return { setpriv, prlimit, enclosure, ceilings };
    }
  }
  const [death, limits] = await Promise.all([
    setpriv !== undefined && env !== undefined && outputOf([setpriv, '--pdeathsig', 'KILL', '--', env]),
    prlimit !== undefined && env !== undefined && outputOf([prlimit, '--core=0:0', '--', env]),
  ]);
  return {
    setpriv: death === '' ? setpriv : undefined,
    prlimit: limits === '' ? prlimit : undefined,
    enclosure: undefined,
    ceilings,
  };
}

/** From the best to the least. Root needs no user namespace for a pid namespace, and what a server of root may do stays as it is. */
function* enclosures(unshare: string, sh: string | undefined): Generator<Enclosure> {
  const shell = sh === undefined ? undefined : [sh, '-c', INIT, 'sh'];
  const users = process.getuid?.() === 0 ? [[], ['--user', '--map-root-user']] : [['--user', '--map-current-user']];
  for (const user of users) {
    for (const init of shell === undefined ? [undefined] : [shell, undefined]) {
      // With its own view of /proc a server finds itself there, and nobody else.
      for (const proc of [['--mount-proc', '--propagation', 'slave'], []]) {
        yield {
          before: [unshare, ...user, '--pid', ...proc, '--fork', '--kill-child=KILL', '--'],
          init,
          countsProcesses: user.length > 0 && process.getuid?.() !== 0,
        };
      }
    }
  }
}

function placeOf(name: string): string | undefined {
  return FOLDERS.map((folder) => `${folder}/${name}`).find((file) => existsSync(file));
}

function ourCeilings(): Ceilings {
  try {
    return readCeilings(readFileSync('/proc/self/limits', 'latin1'));
  } catch {
    return {};
  }
}

/** What a command wrote when it ended well; undefined when it did not. */
function outputOf([file, ...args]: readonly string[]): Promise<string | undefined> {
  if (file === undefined) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    execFile(file, args, { env: {}, cwd: '/', timeout: TRIAL_MS, killSignal: 'SIGKILL' }, (error, stdout) =>
      resolve(error === null ? stdout : undefined),
    );
  });
}
