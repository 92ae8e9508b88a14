// What is never put to a client, whatever rules say: an address that a person could not tell from what it seems to be.

import type { Question } from './tool-server.ts';

/** Why a question must not be put to any client, or undefined where it may. Who may be asked it is decided elsewhere. */
export function questionFault({ method, params }: Question): string | undefined {
  if (method !== 'elicitation/create' || params.mode !== 'url') return undefined;
  if (typeof params.url !== 'string' || !URL.canParse(params.url)) return 'no URL to open';
  const { protocol, hostname, username, password } = new URL(params.url);
  if (username !== '' || password !== '') return 'a URL with a name before its host';
  // On this machine nobody listens on the way.
  const isWeb = protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname));
  return isWeb ? undefined : `a URL that is not of https: ${protocol}`;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;
