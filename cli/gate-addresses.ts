// Where the gates of this installation listen now. A client whose entry has such an address goes through the gate already; what another program listens on
// later, at the same place, is not taken for it.

import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isLoopback } from '../adapters/downstream/http/addresses.ts';
import { startOf } from '../adapters/upstream/stdio/process-key.ts';
import { isJsonObject, type Json } from '../domain/json.ts';
import { addressFile, type GateFolder, type Home } from './home.ts';

/** Written while the gate listens. What cannot be written is not known to those who look at clients, and nothing else depends on it. */
export class NotedAddress {
  readonly #file: string;

  constructor(folder: Pick<GateFolder, 'folder'>, urls: readonly string[]) {
    this.#file = addressFile(folder);
    const { pid } = process;
    try {
      writeFileSync(this.#file, `${JSON.stringify({ urls, pid, start: startOf(pid) ?? null })}\n`, { mode: 0o600 });
    } catch {
      // See above.
    }
  }

  close(): void {
    rmSync(this.#file, { force: true });
  }
}

/** The addresses of all gates that run. */
export function gateAddresses(home: Home): readonly string[] {
  const gates = join(home.state, 'gates');
  return (existsSync(gates) ? readdirSync(gates) : []).flatMap((name) => addressesIn(join(gates, name)));
}

/** Whether an address leads to one of these, whichever of its names this machine is called by. */
export function isGateAddress(address: string, gates: readonly string[]): boolean {
  const asked = new URL(address);
  return gates.some((gate) => {
    const { protocol, port, pathname, hostname } = new URL(gate);
    const isHost = asked.hostname === hostname || (isThisMachine(asked.hostname) && isThisMachine(hostname));
    const isPath = asked.pathname === pathname || asked.pathname.startsWith(`${pathname}/`);
    // A WebSocket is the same gate.
    return asked.protocol.replace(/^ws/, 'http') === protocol && asked.port === port && isHost && isPath;
  });
}

function isThisMachine(hostname: string): boolean {
  return hostname === 'localhost' || isLoopback(hostname.replace(/^\[|\]$/g, ''));
}

function addressesIn(folder: string): readonly string[] {
  try {
    const noted = JSON.parse(readFileSync(addressFile({ folder }), 'utf8')) as Json;
    if (!isJsonObject(noted) || typeof noted.pid !== 'number' || !Array.isArray(noted.urls)) return [];
    process.kill(noted.pid, 0);
    if ((startOf(noted.pid) ?? null) !== noted.start) return [];
    return noted.urls.filter((url): url is string => typeof url === 'string' && URL.canParse(url));
  } catch {
    // None was noted, or whoever noted it is gone.
    return [];
  }
}
