// What may differ between a message that was sent and the one that arrives behind the gate, each with its reason. Everything else is a fault.
// A difference that no test ever needs does not belong here: whoever compares asks `unneeded` in the end.

import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';

/** A message, or a part of one, and who says it. */
export type Where =
  | 'request'
  | 'result'
  | 'round'
  | 'error'
  | 'question'
  | 'answer'
  | 'notification'
  | 'notice'
  | 'list';

interface Difference {
  readonly where: Where;
  /** The member that may differ. */
  readonly path: readonly [string, ...string[]];
  readonly why: string;
}

const KEY = 'io.modelcontextprotocol/';
const HOP = 'it describes one hop, and is set anew for the next';
const RESERVED = 'what the protocol reserves describes one hop, and nobody knows what this says of the next';
const OURS = 'nobody speaks in the name of the gate';
const TOKEN = 'progress is counted by tokens of the gate, so that one client cannot name the call of another';

const DIFFERENCES: readonly Difference[] = [
  { where: 'request', path: ['_meta', 'progressToken'], why: TOKEN },
  { where: 'request', path: ['_meta', `${KEY}protocolVersion`], why: HOP },
  { where: 'request', path: ['_meta', `${KEY}clientInfo`], why: 'who speaks to the server is the gate' },
  { where: 'request', path: ['_meta', `${KEY}clientCapabilities`], why: 'a server hears of what the gate carries' },
  { where: 'request', path: ['_meta', `${KEY}logLevel`], why: HOP },
  { where: 'request', path: ['_meta', `${KEY}later`], why: RESERVED },
  { where: 'request', path: ['inputResponses'], why: 'answers to questions that nobody asked: no rule has seen them' },
  { where: 'result', path: ['_meta', 'dev.portcullis/later'], why: OURS },
  { where: 'result', path: ['resultType'], why: 'the older era has no such member, the newer one has to have it' },
  { where: 'result', path: ['_meta', 'dev.portcullis/receipt'], why: 'where the result is found in the ledger' },
  { where: 'result', path: ['_meta', `${KEY}serverInfo`], why: 'who answers the client is the gate' },
  { where: 'result', path: ['ttlMs'], why: 'a result for one principal is not for caches unless its server says so' },
  { where: 'result', path: ['cacheScope'], why: 'a result for one principal is private' },
  { where: 'round', path: ['_meta', 'dev.portcullis/later'], why: OURS },
  { where: 'round', path: ['resultType'], why: 'the newer era has to have it' },
  { where: 'round', path: ['_meta', 'dev.portcullis/receipt'], why: 'where the answer is found in the ledger' },
  { where: 'round', path: ['_meta', `${KEY}serverInfo`], why: 'who answers the client is the gate' },
  { where: 'error', path: ['data', 'dev.portcullis/later'], why: OURS },
  { where: 'error', path: ['data', 'dev.portcullis/receipt'], why: 'where the error is found in the ledger' },
  { where: 'question', path: ['params', 'task'], why: 'no server was told that a client answers with a task' },
  { where: 'question', path: ['params', '_meta', 'progressToken'], why: TOKEN },
  { where: 'question', path: ['params', '_meta', `${KEY}later`], why: RESERVED },
  { where: 'question', path: ['params', '_meta', 'dev.portcullis/later'], why: OURS },
  { where: 'answer', path: ['_meta', `${KEY}later`], why: RESERVED },
  { where: 'notification', path: ['progressToken'], why: TOKEN },
  { where: 'notification', path: ['_meta', `${KEY}later`], why: RESERVED },
  { where: 'notification', path: ['_meta', 'dev.portcullis/later'], why: OURS },
  { where: 'notice', path: ['_meta', `${KEY}later`], why: RESERVED },
  { where: 'notice', path: ['_meta', 'dev.portcullis/later'], why: OURS },
  { where: 'notice', path: ['_meta', `${KEY}subscriptionId`], why: 'each hop listens by a request of its own' },
  { where: 'list', path: ['resultType'], why: 'the newer era has to have it' },
  { where: 'list', path: ['ttlMs'], why: 'what one principal may see is no list for caches' },
  { where: 'list', path: ['cacheScope'], why: 'what one principal may see is private' },
  { where: 'list', path: ['_meta', `${KEY}serverInfo`], why: 'who puts the lists of servers together is the gate' },
];

/**
 * Those that are no member to leave out. Where a test meets one it says so by `known`, which is how it is known to be needed.
 */
export const FORMS = {
  qualified: 'names are those of the view: a tool of one of many servers is called `server__tool`',
  spelling: 'what is sent is the canonical text of the value: order of members, 1.0 and 1e0, escapes in texts',
  emptyMeta: 'an empty `_meta` says what no `_meta` says',
  noParams: 'a question without params says what one with empty params says',
  questionNames: 'a server of the older era has no names for its questions, and a client of it is told none',
  questionRounds:
    'a server of the older era asks one question after the other, so a client of the newer one has a round for each',
  roundMembers:
    'a client of the older era is not answered before the end: what an answer says besides asking is for nobody',
  questionMembers: 'a request of the older era has a method and params, and no room beside them',
  state: 'the state of a round is sealed by the gate for its client; the server gets its own back',
  wrapped: 'output that is no object goes under `result` to clients of the older era, which only know objects',
  errorMembers: 'an error has a code, a message and data (JSON-RPC 2.0); what stands beside them nobody has to read',
  listMembers:
    'a list is put together from the lists of servers, page by page: what one of them says about its list is lost',
  hello:
    'what the gate says of itself is its own: it can do what its servers can do, as far as it carries that and rules allow it',
  listChanged: 'several changes of lists are told as one: that the list is another is all that is told',
} as const;

type Form = keyof typeof FORMS;

export class AllowedDifferences {
  readonly #seen = new Set<string>();

  /** The message without the members that may differ. */
  without(where: Where, message: Json | undefined): JsonObject {
    let rest: JsonObject = isJsonObject(message ?? null) ? (message as JsonObject) : {};
    for (const difference of DIFFERENCES) {
      if (difference.where !== where) continue;
      const next = withoutMember(rest, difference.path);
      if (next !== rest) this.#seen.add(nameOf(difference));
      rest = next;
    }
    return this.#withoutEmptyMeta(where === 'question' ? 'params' : undefined, rest);
  }

  /** The test meets a difference that is no member to leave out. */
  known(form: Form): void {
    this.#seen.add(form);
  }

  /** What was never met. */
  unneeded(): string[] {
    return [...DIFFERENCES.map(nameOf), ...Object.keys(FORMS)].filter((name) => !this.#seen.has(name));
  }

  #withoutEmptyMeta(within: string | undefined, message: JsonObject): JsonObject {
    if (within !== undefined && isJsonObject(message[within] ?? null))
      return { ...message, [within]: this.#withoutEmptyMeta(undefined, message[within] as JsonObject) };
    const { _meta: meta, ...rest } = message;
    if (meta === undefined || !isJsonObject(meta) || Object.keys(meta).length > 0) return message;
    this.known('emptyMeta');
    return rest;
  }
}

function nameOf({ where, path }: Difference): string {
  return `${where} ${path.join('.')}`;
}

/** The same reference where there is no such member. */
function withoutMember(message: JsonObject, [member, ...further]: readonly [string, ...string[]]): JsonObject {
  if (!Object.hasOwn(message, member)) return message;
  const { [member]: value, ...rest } = message;
  const [next, ...after] = further;
  if (next === undefined) return rest;
  if (value === undefined || !isJsonObject(value)) return message;
  const inner = withoutMember(value, [next, ...after]);
  return inner === value ? message : { ...message, [member]: inner };
}
