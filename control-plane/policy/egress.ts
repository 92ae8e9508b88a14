// Which hosts a sandboxed server may reach: the words of its allow-list, and whether they cover a host and port as somebody asked for them. Hosts
// are compared as texts in one spelling; what other parsers could take for another host is no host here. Nothing is resolved.

export interface EgressHost {
  /** A name in lower case, a dotted IPv4 address, or an IPv6 address as WHATWG writes it, without brackets. */
  readonly host: string;
  /** Whether it is an address and not a name. */
  readonly literal: boolean;
}

export interface EgressEntry extends EgressHost {
  /** Names below `host`, and not `host` itself. */
  readonly subdomains: boolean;
  readonly port: number;
}

/** What an entry without a port means: HTTPS. */
const PORT_DEFAULT = 443;

/** `HOST`, `HOST:PORT`, `*.DOMAIN`, `*.DOMAIN:PORT`, `[IPV6]`, `[IPV6]:PORT`; undefined for anything else. */
export function parseEgressEntry(text: string): EgressEntry | undefined {
  const subdomains = text.startsWith('*.');
  const target = parseEgressTarget(subdomains ? text.slice(2) : text, PORT_DEFAULT);
  if (target === undefined) return undefined;
  // A wildcard over a whole top-level domain allows more than anybody means.
  if (subdomains && (target.literal || !target.host.includes('.'))) return undefined;
  return { ...target, subdomains };
}

/** A host and a port, as they stand in a request; undefined where either cannot be read in one way only. */
export function parseEgressTarget(
  text: string,
  portDefault?: number,
): (EgressHost & { readonly port: number }) | undefined {
  const [, hostText, portText] = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = hostText === undefined ? undefined : parseHost(hostText);
  const port = portText === undefined ? portDefault : Number(portText);
  if (host === undefined || port === undefined || port < 1 || port > 65_535) return undefined;
  return { ...host, port };
}

/** Whether the list allows this host and port. */
export function egressAllows(entries: readonly EgressEntry[], target: EgressHost, port: number): boolean {
  return entries.some((entry) => entry.port === port && covers(entry, target));
}

/** Whether the list names this very address: only then may it be one of a private network. */
export function namesAddress(entries: readonly EgressEntry[], address: string, port: number): boolean {
  const literal = parseHost(address.includes(':') ? `[${address}]` : address);
  return entries.some((entry) => entry.literal && entry.port === port && entry.host === literal?.host);
}

function covers(entry: EgressEntry, { host, literal }: EgressHost): boolean {
  if (entry.subdomains) return !literal && host.endsWith(`.${entry.host}`);
  return entry.literal === literal && entry.host === host;
}

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

function parseHost(text: string): EgressHost | undefined {
  if (text.startsWith('[')) {
    if (!URL.canParse(`http://${text}/`)) return undefined;
    return { host: new URL(`http://${text}/`).hostname.slice(1, -1), literal: true };
  }
  const host = text.toLowerCase();
  const labels = host.split('.');
  if (host.length > 253 || !labels.every((label) => LABEL.test(label))) return undefined;
  const last = labels.at(-1) ?? '';
  // What ends in a number is an address to everybody who resolves it, in one of many spellings; only the plain one is read.
  if (!/^(?:0x[0-9a-f]*|[0-9]+)$/.test(last)) return { host, literal: false };
  const plain =
    labels.length === 4 && labels.every((label) => /^(?:0|[1-9]\d{0,2})$/.test(label) && Number(label) < 256);
  return plain ? { host, literal: true } : undefined;
}
