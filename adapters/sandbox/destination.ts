// Where a sandboxed server may go: a host as it asked for it, against its allow-list, and then the addresses that the host has now. What is answered
// is an address to connect to, so that nobody resolves the name a second time.

import { isIP } from 'node:net';
import { type EgressEntry, type EgressHost, egressAllows, namesAddress } from '../../control-plane/policy/egress.ts';
import { networkOf } from '../network/networks.ts';
import type { EgressRefusalReason, ResolveName } from './ports.ts';

export type Destination =
  | { readonly ok: true; readonly addresses: readonly string[] }
  | { readonly ok: false; readonly reason: EgressRefusalReason };

/** So many of a name's addresses are tried. */
const ADDRESSES_MAX = 4;

/**
 * Refuses a host that the list does not have before anything is resolved, and a host of which any address is not a public one, unless the list
 * names that address itself.
 */
export async function destination(
  entries: readonly EgressEntry[],
  target: EgressHost & { readonly port: number },
  resolve: ResolveName,
  resolveMs: number,
): Promise<Destination> {
  const { host, literal, port } = target;
  if (!egressAllows(entries, target, port)) return { ok: false, reason: 'not_allowed' };
  const addresses = literal ? [host] : await resolved(host, resolve, resolveMs);
  if (addresses.length === 0) return { ok: false, reason: 'unresolved' };
  const mayVisit = (address: string): boolean =>
    isIP(address) !== 0 && (networkOf(address) === 'public' || namesAddress(entries, address, port));
  if (!addresses.every(mayVisit)) return { ok: false, reason: 'private_address' };
  return { ok: true, addresses: addresses.slice(0, ADDRESSES_MAX) };
}

async function resolved(host: string, resolve: ResolveName, resolveMs: number): Promise<readonly string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly string[]>((settle) => {
    timer = setTimeout(() => settle([]), resolveMs);
  });
  const answered = resolve(host).catch(() => []);
  const addresses = await Promise.race([answered, late]);
  clearTimeout(timer);
  return addresses;
}
