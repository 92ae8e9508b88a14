// What kind of network an address belongs to, as far as the address itself tells. Names are resolved by whoever asks.

import { BlockList, isIP } from 'node:net';

/** `special`: addresses at which no server of anybody's is to be expected, such as those of a cloud's metadata service. */
export type Network = 'public' | 'loopback' | 'private' | 'special';

const LOOPBACK = list(['127.0.0.0/8', '::1/128']);
const PRIVATE = list(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7']);
const SPECIAL = list([
  '0.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  // These carry an IPv4 address that somebody else will unpack: compatible, NAT64, Teredo, 6to4.
  '::/96',
  '64:ff9b::/32',
  '2001::/32',
  '2002::/16',
  '100::/64',
  '2001:db8::/32',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]);

const MAPPED = /^(?:0*:)*:?f{4}:/i;

/** The network of a literal address, without brackets. What is not an address is `special`. */
export function networkOf(address: string): Network {
  const family = isIP(address);
  if (family === 0) return 'special';
  const kind = family === 4 ? 'ipv4' : 'ipv6';
  if (LOOPBACK.check(address, kind)) return 'loopback';
  if (PRIVATE.check(address, kind)) return 'private';
  // A mapped IPv4 address is judged as what it maps above; nobody has a reason to write a public one so.
  return SPECIAL.check(address, kind) || MAPPED.test(address) ? 'special' : 'public';
}

function list(subnets: readonly string[]): BlockList {
  const blocks = new BlockList();
  for (const subnet of subnets) {
    const [net = '', bits] = subnet.split('/');
    blocks.addSubnet(net, Number(bits), net.includes(':') ? 'ipv6' : 'ipv4');
  }
  return blocks;
}
