// Where a client's files would be on a given machine. It computes paths and touches no disk, so that every platform can be asked about
// on any other.

import { posix, win32 } from 'node:path';
import { Defect } from '../../domain/defect.ts';
import type { Place, Platform } from './known-clients.ts';

/** What decides where files lie. Nothing else of the process is looked at. */
export interface Machine {
  readonly platform: Platform;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

export function pathsOf(platform: Platform): typeof posix {
  return platform === 'win32' ? win32 : posix;
}

/**
 * The path of a place, with `*` left for a folder of any name. `project` is the folder that stands for `{project}`. Undefined where the
 * platform does not have the place.
 */
export function pathOfPlace(place: Place, machine: Machine, project: string): string | undefined {
  if (place.platforms !== undefined && !place.platforms.includes(machine.platform)) return undefined;
  const paths = pathsOf(machine.platform);
  const folders: Readonly<Record<string, () => string>> = {
    project: () => project,
    // Where programs with a window keep their settings.
    support: () =>
      machine.platform === 'darwin'
        ? paths.join(machine.home, 'Library', 'Application Support')
        : machine.platform === 'win32'
          ? given(machine, 'APPDATA', paths.join(machine.home, 'AppData', 'Roaming'))
          : given(machine, 'XDG_CONFIG_HOME', paths.join(machine.home, '.config')),
    // Where programs of a terminal do.
    config: () =>
      machine.platform === 'win32'
        ? given(machine, 'APPDATA', paths.join(machine.home, 'AppData', 'Roaming'))
        : given(machine, 'XDG_CONFIG_HOME', paths.join(machine.home, '.config')),
    localappdata: () => given(machine, 'LOCALAPPDATA', paths.join(machine.home, 'AppData', 'Local')),
  };
  const tilde = (path: string) => path.replace(/^~/, () => machine.home);
  const filled = place.file
    .replace(/^\{([A-Z_]+)\|([^}]*)\}/, (_, name: string, usual: string) => given(machine, name, tilde(usual)))
    .replace(/^\{([a-z]+)\}/, (all, folder: string) => folders[folder]?.() ?? all);
  if (/^[{]/.test(filled)) throw new Defect(`the place ${place.file} begins with an unknown folder`);
  return paths.normalize(tilde(filled));
}

/** A variable's value when it is an absolute path: a relative one would mean another place for every process. */
function given({ env, platform }: Machine, name: string, usual: string): string {
  const value = env[name];
  return value !== undefined && pathsOf(platform).isAbsolute(value) ? value : usual;
}
