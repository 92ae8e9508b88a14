// What a protected server says when it turns a request away: RFC 6750, RFC 9449 and RFC 9728, from the header WWW-Authenticate.
// Everything in it is the server's claim; where it leads is checked by who goes there.

import { PROOF_ALGORITHM } from './proof-key.ts';

export interface Challenge {
  readonly error?: string | undefined;
  readonly scope?: string | undefined;
  readonly resourceMetadataUrl?: string | undefined;
  /** The server takes tokens that are bound to a key of the kind that we have. */
  readonly bound?: boolean;
}

const HEADER_CHARACTERS_MAX = 8_192;
/** Where a challenge of one of our schemes begins. */
const SCHEME = /(?:^|,\s*)(bearer|dpop)(?:\s+|$)/gi;
const QUOTED = /"(?:[^"\\]|\\.)*"/g;
const PARAMETER = /([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/g;
/** RFC 6749 section 3.3. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/;
const SCOPE_CHARACTERS_MAX = 2_048;

/**
 * What the challenges of the schemes Bearer and DPoP say together, or undefined where there is neither. Where both say something, it is the same
 * but for the error, which only the scheme that was used has. A parameter that is not well formed is left out.
 */
export function tokenChallenge(header: string | undefined): Challenge | undefined {
  if (header === undefined || header.length > HEADER_CHARACTERS_MAX) return undefined;
  // Nothing begins within a quoted text.
  const outline = header.replaceAll(QUOTED, (text) => '"'.repeat(text.length));
  const schemes = [...outline.matchAll(SCHEME)];
  if (schemes.length === 0) return undefined;
  const found = new Map<string, string>();
  let bound = false;
  for (const [place, match] of schemes.entries()) {
    const parameters = parametersIn(header.slice(match.index + match[0].length, schemes[place + 1]?.index));
    if (match[1]?.toLowerCase() === 'dpop')
      bound ||= parameters.get('algs')?.split(' ').includes(PROOF_ALGORITHM) ?? true;
    for (const [name, value] of parameters) if (!found.has(name)) found.set(name, value);
  }
  const scope = found.get('scope');
  const metadata = found.get('resource_metadata');
  return {
    error: found.get('error'),
    scope: scope !== undefined && isScope(scope) ? scope : undefined,
    resourceMetadataUrl: metadata !== undefined && URL.canParse(metadata) ? metadata : undefined,
    bound,
  };
}

function parametersIn(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, name = '', quoted, plain] of text.matchAll(PARAMETER)) {
    const key = name.toLowerCase();
    // The first counts: what follows may belong to the challenge of another scheme.
    if (!found.has(key)) found.set(key, quoted?.replaceAll(/\\(.)/g, '$1') ?? plain ?? '');
  }
  return found;
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
