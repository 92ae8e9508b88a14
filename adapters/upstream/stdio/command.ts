// Which file a server's command means, found before anything is started, so that a wrong name is explained and not guessed from a code.

import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';

export type ResolvedCommand =
  | { readonly ok: true; readonly file: string }
  | { readonly ok: false; readonly reason: string };

/**
 * `path` is the PATH that the server will have. Relative and empty entries of it are passed over: the folder one happens to stand in must
 * not decide which program runs.
 */
export function resolveCommand(command: string, path: string | undefined, cwd: string): ResolvedCommand {
  if (command === '' || command.includes('\0')) return { ok: false, reason: 'the command is empty' };
  if (command.includes('/')) {
    const file = resolve(cwd, command);
    const fault = whyNotExecutable(file);
    return fault === undefined ? { ok: true, file } : { ok: false, reason: `command ${fault}: ${command}` };
  }
  for (const folder of (path ?? '').split(delimiter)) {
    if (!isAbsolute(folder)) continue;
    const file = join(folder, command);
    if (whyNotExecutable(file) === undefined) return { ok: true, file };
  }
  return { ok: false, reason: `command not found: ${command}` };
}

/** Why the folder cannot be a working directory, or undefined. */
export function whyNotFolder(folder: string): string | undefined {
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) return `the working directory does not exist: ${folder}`;
  return stat.isDirectory() ? undefined : `the working directory is not a folder: ${folder}`;
}

function whyNotExecutable(file: string): string | undefined {
  try {
    if (!statSync(file).isFile()) return 'is not a file';
  } catch {
    return 'not found';
  }
  try {
    accessSync(file, constants.X_OK);
    return undefined;
  } catch {
    return 'is not executable';
  }
}
