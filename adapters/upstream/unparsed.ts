// The few words read from bytes that the strict parser refused or never saw: whose they seem to be, and how to quote them.
// They serve to refuse the right call and to explain; nothing is ever released on their word.

/** Said of a message instead of anything that is in it. */
export const REPEATS_A_SECRET = 'it wrote a message that repeats our credential';

/** What a message that is JSON but not strict JSON seems to be. It serves to refuse the right call, never to release anything. */
export interface Outline {
  readonly id: number | undefined;
  readonly hasMethod: boolean;
  /** Whether it is an error of JSON-RPC, whosever it is. */
  readonly hasError: boolean;
}

/** Undefined when the bytes are not even lenient JSON with an object in it. */
export function outline(bytes: Uint8Array): Outline | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const id = Object.hasOwn(value, 'id') ? (value as { id: unknown }).id : undefined;
  const { error, jsonrpc } = value as { error?: unknown; jsonrpc?: unknown };
  return {
    id: typeof id === 'number' ? id : undefined,
    hasMethod: Object.hasOwn(value, 'method'),
    hasError: jsonrpc === '2.0' && typeof error === 'object' && error !== null,
  };
}

const HEAD_ID = /^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,15})\s*,/;
const TAIL_ID = /"id"\s*:\s*(\d{1,15})\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$/;

/** The id that an oversized answer seems to carry, from its first or last bytes. A wrong guess refuses a call of the same server. */
export function guessId(head: string, tail?: string): number | undefined {
  const found = HEAD_ID.exec(head) ?? (tail === undefined ? null : TAIL_ID.exec(tail));
  return found?.[1] === undefined ? undefined : Number(found[1]);
}

/** Somebody else's text made fit for one line of an explanation. */
export function quoted(text: string, charactersMax = 120): string {
  const short = text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text;
  return JSON.stringify(short);
}
