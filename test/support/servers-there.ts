// Waits for servers of a gate that opens with those that are there: a busy machine starts one long after another.

import type { JsonObject } from '../../domain/json.ts';
import { RawHttp } from './raw-mcp.ts';

const WITHIN_MS = 30_000;

/** Resolves when tools of every server are listed at the address of all of them. */
export async function serversThere(
  url: string,
  servers: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const client = new RawHttp(url, headers);
  await client.initialize();
  const end = Date.now() + WITHIN_MS;
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
