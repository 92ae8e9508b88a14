// Waits for servers of a gate that opens with those that are there: a busy machine starts one long after another.

import type { JsonObject } from '../../domain/json.ts';
import { RawHttp } from './raw-mcp.ts';

/** Resolves when tools of every server are listed at the address of all of them. */
export async function serversThere(url: string, servers: readonly string[], withinMs = 30_000): Promise<void> {
  const client = new RawHttp(url);
  await client.initialize();
  const end = Date.now() + withinMs;
  for (;;) {
    const { result } = await client.ask('tools/list');
    const names = ((result?.tools ?? []) as readonly JsonObject[]).map(({ name }) => String(name));
    const missing = servers.filter((server) => !names.some((name) => name.startsWith(`${server}__`)));
    if (missing.length === 0) break;
    if (Date.now() > end) throw new Error(`not there: ${missing.join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await fetch(url, { method: 'DELETE', headers: client.headers });
}
