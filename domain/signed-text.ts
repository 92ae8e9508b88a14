// A signed token as text (a compact JWS, RFC 7515), taken apart: what its three segments hold and in which ways they are not what they should be.
// Nothing here is verified, and a problem named here refuses nothing by itself.

import { decodeBase64url } from './base64url.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Json } from './json.ts';
import { isJsonObject } from './json.ts';

/** What one kind of token must be. */
export interface TokenKind {
  readonly charactersMax: number;
  readonly headerProblem: (header: Json) => string | undefined;
  readonly claimsProblem: (claims: Json) => string | undefined;
}

export interface SignedText<Claims> {
  /** Why this is not three segments of which the first holds a JSON object, and the others bytes. */
  readonly formProblem?: string;
  readonly headerProblem?: string;
  /** What the header says; empty where it says nothing. */
  readonly kid: string;
  /** What is signed: header, full stop, payload. ASCII. */
  readonly signingInput: Uint8Array;
  /** Absent where the segment is not strict base64url of 64 bytes. */
  readonly signature?: Uint8Array;
  /** Reads the payload, once. Call it after the signature was found good. */
  readonly payload: () => SignedPayload<Claims>;
}

export interface SignedPayload<Claims> {
  /** Why these are not the claims of such a token in their canonical form. */
  readonly problem?: string;
  /** The claims, wherever there is a JSON object; of the declared shape only when there is no problem. */
  readonly claims?: Claims;
}

const SIGNATURE_BYTES = 64;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads tokens of one kind. All tokens of one key begin with the same characters, so the last header read is kept, with what was found. */
export function signedTextReader<Claims>(kind: TokenKind): (text: string) => SignedText<Claims> {
  const readHeader = headerReader(kind);
  return (text) => {
    if (text.length > kind.charactersMax) return unreadable('the token is too long');
    const segments = text.split('.', 4);
    const [head = '', body = '', tail = ''] = segments;
    const { header, problem: headerProblem, kid } = readHeader(head);
    const payloadBytes = decodeBase64url(body);
    const formProblem = formProblemOf(segments, header, payloadBytes);
    const signature = decodeBase64url(tail);
    let payload: SignedPayload<Claims> | undefined;
    return {
      ...(formProblem === undefined ? {} : { formProblem }),
      ...(headerProblem === undefined ? {} : { headerProblem }),
      kid,
      signingInput: encoder.encode(`${head}.${body}`),
      ...(signature?.length === SIGNATURE_BYTES ? { signature } : {}),
      payload: () => {
        payload ??= readPayload<Claims>(payloadBytes, kind);
        return payload;
      },
    };
  };
}

function unreadable<Claims>(formProblem: string): SignedText<Claims> {
  const payload = { problem: formProblem };
  return { formProblem, headerProblem: formProblem, kid: '', signingInput: new Uint8Array(), payload: () => payload };
}

interface HeaderText {
  readonly segment: string;
  readonly header: ParsedText | undefined;
  readonly problem: string | undefined;
  readonly kid: string;
}

function headerReader(kind: TokenKind): (segment: string) => HeaderText {
  let last: HeaderText | undefined;
  return (segment) => {
    if (last?.segment === segment) return last;
    const header = readJson(segment);
    last = { segment, header, problem: headerProblemOf(header, kind), kid: kidOf(header?.value) };
    return last;
  };
}

function formProblemOf(
  segments: readonly string[],
  header: ParsedText | undefined,
  payload: Uint8Array | undefined,
): string | undefined {
  if (segments.length !== 3) return 'a token has three segments';
  if (segments.some((segment) => segment === '')) return 'a segment is empty';
  if (header === undefined) return 'the header is not base64url of JSON';
  if (payload === undefined) return 'the payload is not base64url';
  return undefined;
}

function headerProblemOf(header: ParsedText | undefined, kind: TokenKind): string | undefined {
  if (header === undefined) return 'there is no header';
  // The order of the members is free, everything else about the text is not. A duplicate member, white space or an escape that is not
  // needed would make it longer than its canonical form, whatever its order.
  if (header.canonical.length !== header.text.length) return 'the header is not written compactly';
  return kind.headerProblem(header.value);
}

function kidOf(header: Json | undefined): string {
  const kid = isJsonObject(header) ? header.kid : undefined;
  return typeof kid === 'string' ? kid : '';
}

function readPayload<Claims>(bytes: Uint8Array | undefined, kind: TokenKind): SignedPayload<Claims> {
  const payload = bytes === undefined ? undefined : parse(bytes);
  if (payload === undefined) return { problem: 'the payload is not JSON' };
  if (!isJsonObject(payload.value)) return { problem: 'the payload is not an object' };
  // The cast is made true by whoever refuses a token with a problem. It is handed over all the same, so that each check can be shown to
  // be needed by taking it away.
  const claims = freeze(payload.value) as unknown as Claims;
  // One value, one text: no duplicate members, no white space, no second way to write a number or a string.
  const problem =
    payload.canonical === payload.text ? kind.claimsProblem(payload.value) : 'the payload is not in canonical form';
  return problem === undefined ? { claims } : { problem, claims };
}

/** The claims are looked at again later: nobody who is shown a part of them may change it in between. */
function freeze<T extends Json>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) freeze(member as Json);
    Object.freeze(value);
  }
  return value;
}

interface ParsedText {
  readonly text: string;
  readonly value: Json;
  readonly canonical: string;
}

function readJson(segment: string): ParsedText | undefined {
  const bytes = decodeBase64url(segment);
  return bytes === undefined ? undefined : parse(bytes);
}

/** The text and its value, or undefined where it is not UTF-8, not JSON, or JSON that has no canonical form. */
function parse(bytes: Uint8Array): ParsedText | undefined {
  try {
    const text = decoder.decode(bytes);
    const value = JSON.parse(text) as Json;
    return { text, value, canonical: canonicalJson(value) };
  } catch {
    return undefined;
  }
}
