// The public proxies of the comparison, fetched from the npm registry at exact versions into a folder that git ignores. Install scripts do
// not run. Without a registry the comparison goes on without them and says so.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOCAL } from './places.ts';

const FOLDER = join(LOCAL, 'peers');
const INSTALL_TIMEOUT_MS = 180_000;

export const PEERS = {
  'mcp-proxy': { version: '6.7.19', script: join(FOLDER, 'node_modules/mcp-proxy/dist/bin/mcp-proxy.mjs') },
  supergateway: { version: '4.0.0', script: join(FOLDER, 'node_modules/supergateway/dist/index.js') },
} as const;

/** Undefined when the peers are there, else why they are not. */
export function installPeers(): string | undefined {
  const wanted = Object.fromEntries(Object.entries(PEERS).map(([name, peer]) => [name, peer.version]));
  const manifest = JSON.stringify({ private: true, dependencies: wanted });
  const stamp = join(FOLDER, `installed-${Object.values(wanted).join('-')}`);
  if (existsSync(stamp)) return undefined;
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, 'package.json'), manifest);
  const install = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: FOLDER,
    encoding: 'utf8',
    timeout: INSTALL_TIMEOUT_MS,
  });
  if (install.status !== 0)
    return `not installed: ${(install.stderr ?? '').trim().split('\n')[0] ?? install.error?.message ?? ''}`;
  writeFileSync(stamp, '');
  return undefined;
}
