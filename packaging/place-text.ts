// How pages write where a client keeps its servers.

import type { Place } from '../adapters/clients/known-clients.ts';

const PLATFORMS = { linux: 'Linux', darwin: 'macOS', win32: 'Windows' } as const;

/** The file with the names of folders in capitals, as docs/clients.md explains them. */
export function pathText({ file }: Pick<Place, 'file'>): string {
  return file
    .replace(/^\{([A-Z_]+)\|([^}]*)\}/, '$$$1')
    .replace(/^\{([a-z]+)\}/, (_, name: string) => name.toUpperCase());
}

/** The usual folder where a variable says another one, else undefined. */
export function usualFolder({ file }: Pick<Place, 'file'>): string | undefined {
  return /^\{[A-Z_]+\|([^}]*)\}/.exec(file)?.[1];
}

export function platformsText({ platforms }: Pick<Place, 'platforms'>): string {
  return platforms === undefined ? '' : ` (${platforms.map((platform) => PLATFORMS[platform]).join(', ')})`;
}
