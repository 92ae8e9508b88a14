// Where this installation's own files are: what clients are to start, and what helps an editor. Found from this file, whether it is a source or built.

import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

const UP = ['../..', '../../..'];

function ownFile(path: string): string | undefined {
  return UP.map((up) => fileURLToPath(new URL(`${up}/${path}`, import.meta.url))).find((file) => existsSync(file));
}

/** The program that a client starts, as an absolute path. */
export function ownProgram(): string {
  const file = ownFile('bin/portcullis.js');
  if (file === undefined) throw new Error('the installation is not whole: bin/portcullis.js is missing');
  return file;
}

/** The address of the manifest's schema; undefined where it does not come with this installation. */
export function schemaAddress(): string | undefined {
  const file = ownFile('dist/schema/portcullis.schema.json') ?? ownFile('schema/portcullis.schema.json');
  return file === undefined ? undefined : pathToFileURL(file).href;
}

/** `npx` keeps what it fetched until it clears its cache: a client must not be sent there. */
export function isInPassingCache(program: string): boolean {
  return /[\\/]_npx[\\/]|[\\/]\.bun[\\/]install[\\/]cache[\\/]|[\\/]dlx-/.test(program);
}
