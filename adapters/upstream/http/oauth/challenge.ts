// What a protected server says when it turns a request away: RFC 6750 and RFC 9728, from the header WWW-Authenticate.
// Everything in it is the server's claim; where it leads is checked by who goes there.

export interface Challenge {
  readonly error?: string | undefined;
  readonly scope?: string | undefined;
  readonly resourceMetadataUrl?: string | undefined;
}

const HEADER_CHARACTERS_MAX = 8_192;
const PARAMETER = /([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/g;
/** RFC 6749 section 3.3. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/;
const SCOPE_CHARACTERS_MAX = 2_048;

/** The challenge of the scheme Bearer, or undefined where there is none. A parameter that is not well formed is left out. */
export function bearerChallenge(header: string | undefined): Challenge | undefined {
  if (header === undefined || header.length > HEADER_CHARACTERS_MAX) return undefined;
  const start = /(?:^|,\s*)bearer(?:\s+|$)/i.exec(header);
  if (start === null) return undefined;
  const found = new Map<string, string>();
  for (const [, name = '', quoted, plain] of header.slice(start.index + start[0].length).matchAll(PARAMETER)) {
    const key = name.toLowerCase();
    // The first counts: what follows may belong to the challenge of another scheme.
    if (!found.has(key)) found.set(key, quoted?.replaceAll(/\\(.)/g, '$1') ?? plain ?? '');
  }
  const scope = found.get('scope');
  const metadata = found.get('resource_metadata');
  return {
    error: found.get('error'),
    scope: scope !== undefined && isScope(scope) ? scope : undefined,
    resourceMetadataUrl: metadata !== undefined && URL.canParse(metadata) ? metadata : undefined,
  };
}

/** Whether it is a list of scopes that can be sent on and shown. */
export function isScope(text: string): boolean {
  return text.length <= SCOPE_CHARACTERS_MAX && SCOPE.test(text);
}

/** Every scope of the lists once, in the order in which they come. Undefined where there is none. */
export function allScopes(...lists: readonly (string | undefined)[]): string | undefined {
  const all = new Set(lists.flatMap((list) => list?.split(' ') ?? []).filter((scope) => scope !== ''));
  return all.size === 0 ? undefined : [...all].join(' ');
}

/** Whether every scope of `wanted` is in `held`. */
export function holdsScopes(held: string | undefined, wanted: string): boolean {
  const have = new Set(held?.split(' ') ?? []);
  return wanted.split(' ').every((scope) => have.has(scope));
}
