// Which version this is, from the package itself.

import { readFileSync } from 'node:fs';

/** The version of the package, from the nearest package.json above this file: sources and build lie at different depths. */
export function packageVersion(): string {
  for (const up of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as Record<
        string,
        unknown
      >;
      if (name === 'portcullis' && typeof version === 'string') return version;
    } catch {
      // Not here: one further up.
    }
  }
  return 'unknown';
}
