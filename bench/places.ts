// Where things lie: the checkout, the compiled targets, and the folder for what the bench keeps between runs.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));

/** The checkout: the nearest folder above with a package.json. */
export const ROOT = nearestPackage(HERE);
export const ECHO_SERVER = join(HERE, 'targets', 'echo-server.js');
export const RAW_RELAY = join(HERE, 'targets', 'raw-relay.js');
/** What makes the bench a package by itself. Otherwise each look at what the echo server runs would be one at the whole checkout, and at all that it needs. */
export const OWN_PACKAGE = join(HERE, 'package.json');
export const PORTCULLIS = join(ROOT, 'bin', 'portcullis.js');
/** Ignored by git: the peers' packages and profiles. */
export const LOCAL = join(ROOT, 'bench', 'results', 'local');

function nearestPackage(folder: string): string {
  if (folder !== HERE && existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('the bench is not inside a package');
  return nearestPackage(parent);
}
