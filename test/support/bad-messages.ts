// Messages that no client should send, as bytes: each is refused on its own, whatever it comes on. `count` in one of them would be heard.

/** What is sent in the envelope of 2026-07-28. */
const ENVELOPE =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';

export interface BadMessage {
  readonly name: string;
  /** `@` stands for the beginning of the params of an era: the envelope, or nothing. */
  readonly text: string | Uint8Array;
  /** How it is recorded: up to 2025-11-25, and since. */
  readonly recorded: readonly [string, string];
  /** Nothing is said to it. */
  readonly silent?: boolean;
  /** It is answered although it is no notification, in the revisions with sessions only. */
  readonly silentWithSessions?: boolean;
}

function bad(name: string, text: string | Uint8Array, code = 'MESSAGE_MALFORMED', modern = code): BadMessage {
  return { name, text, recorded: [code, modern] };
}

function silent(name: string, text: string, code: string, modern = code): BadMessage {
  return { name, text, recorded: [code, modern], silent: true };
}

const COUNT = '"method":"tools/call","params":{@"name":"count","arguments":{"by":666}}';
const request = (members: string): string => `{"jsonrpc":"2.0",${members}}`;
const call = (params: string, id = '1'): string => request(`"id":${id},"method":"tools/call","params":{@${params}}`);
const counted = (args: string): string => call(`"name":"count","arguments":${args}`);
const bytes = (before: string, middle: readonly number[], after: string): Uint8Array =>
  Buffer.concat([Buffer.from(before), Buffer.from(middle), Buffer.from(after)]);

const DIRECTION = 'MESSAGE_DIRECTION';
const UNKNOWN = 'METHOD_UNKNOWN';
const NO_TOOL = 'TOOL_UNKNOWN';

export const NOT_JSON: readonly BadMessage[] = [
  bad('nothing but a brace', '{'),
  bad('spaces', '   '),
  bad('NUL', '\0'),
  bad('words', 'tools/call count'),
  bad('a message cut off', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"na'),
  bad('two messages in one', `${counted('{"by":666}')}${counted('{"by":666}')}`),
  bad('a trailing comma', request('"id":1,"method":"tools/list",')),
  bad('a comment', request('/**/"id":1,"method":"tools/list"')),
  bad('single quotes', "{'jsonrpc':'2.0','id':1,'method':'tools/list'}"),
  bad('NaN', counted('{"by":NaN}')),
  bad('a number beyond all numbers', counted('{"by":1e400}')),
  bad('a number that would change', counted('{"by":9007199254740993}')),
  bad('an id that would change', call('"name":"count","arguments":{"by":666}', '123456789012345678901234567890')),
  bad('a key twice', '{"jsonrpc":"2.0","id":1,"method":"ping",@@'.replace(',@@', `,${COUNT}}`)),
  bad('a key twice, escaped', call('"name":"count","arguments":{"by":666,"\\u0062y":667}')),
  bad('a name twice', call('"name":"echo","name":"count","arguments":{"by":666}')),
  bad('__proto__', counted('{"__proto__":{"by":666}}')),
  bad('__proto__ at the top', `{"__proto__":{},"jsonrpc":"2.0","id":1,${COUNT}}`),
  bad('constructor', counted('{"constructor":{"prototype":{"by":666}}}')),
  bad('half a letter', counted('{"x":"\\ud800"}')),
  bad('half a letter the other way', counted('{"x":"\\udc00\\ud800"}')),
  bad('bytes that are no UTF-8', bytes('{"jsonrpc":"2.0","id":1,"method":"', [0xff, 0xfe], '"}')),
  bad('letters that are too long', bytes('{"jsonrpc":"2.0","id":1,"method":"', [0xc0, 0x80], '"}')),
  bad('letters that were cut', bytes('{"jsonrpc":"2.0","id":1,"method":"', [0xe2, 0x82], '"}')),
  bad('a byte order mark', bytes('', [0xef, 0xbb, 0xbf], request(`"id":1,${COUNT.replace('@', '')}`))),
  bad('UTF-16', Buffer.from(request(`"id":1,${COUNT.replace('@', '')}`), 'utf16le')),
  bad('a control character in a string', counted('{"x":"\t"}')),
  bad('a hundred levels', counted(`{"by":${'['.repeat(100)}${']'.repeat(100)}}`)),
  bad('a million levels', '['.repeat(1_000_000)),
  bad('three hundred thousand values', counted(`{"by":[${'1,'.repeat(300_000)}1]}`)),
];

export const NO_MESSAGE: readonly BadMessage[] = [
  bad('a number', '5'),
  bad('a text', '"tools/call"'),
  bad('null', 'null'),
  bad('an empty object', '{}'),
  bad('no jsonrpc', `{"id":1,${COUNT}}`),
  bad('jsonrpc 1.0', `{"jsonrpc":"1.0","id":1,${COUNT}}`),
  bad('jsonrpc as a number', `{"jsonrpc":2.0,"id":1,${COUNT}}`),
  bad('an id that is null', request(`"id":null,${COUNT}`)),
  bad('an id that is true', request(`"id":true,${COUNT}`)),
  bad('an id that is an object', request(`"id":{},${COUNT}`)),
  bad('an id that is a list', request(`"id":[1],${COUNT}`)),
  bad('an id with a fraction', request(`"id":1.5,${COUNT}`)),
  bad('a method that is a number', request('"id":1,"method":5')),
  bad('a method that is null', request('"id":1,"method":null')),
  bad('a method that is a list', request('"id":1,"method":["tools/call"]')),
  bad('nothing but an id', request('"id":1')),
  bad('params that are a list', request('"id":1,"method":"tools/call","params":["count"]')),
  bad('params that are null', request('"id":1,"method":"tools/call","params":null')),
  bad('params that are a text', request('"id":1,"method":"tools/call","params":"count"')),
  bad('a _meta that is null', request('"id":1,"method":"tools/list","params":{"_meta":null}')),
  bad('a _meta that is a list', request('"id":1,"method":"tools/list","params":{"_meta":[]}')),
  bad('a member that nobody knows', request(`"id":1,${COUNT},"Method":"ping"`)),
  bad('a request that is a result too', request(`"id":1,${COUNT},"result":{}`)),
  bad('a result that is an error too', request('"id":1,"result":{},"error":{"code":1,"message":"x"}')),
  bad('a result that is a text', request('"id":1,"result":"x"')),
  bad('an error without a code', request('"id":1,"error":{"message":"x"}')),
  bad('a response to null', request('"id":null,"error":{"code":-1,"message":"x"}')),
];

export const NOT_ASKED: readonly BadMessage[] = [
  { ...bad('a response to nothing', request('"id":1,"result":{}'), DIRECTION), silentWithSessions: true },
  {
    ...bad('an error to nothing', request('"id":"x","error":{"code":1,"message":"x"}'), DIRECTION),
    silentWithSessions: true,
  },
  bad(
    'sampling/createMessage',
    request('"id":1,"method":"sampling/createMessage","params":{@"messages":[],"maxTokens":1}'),
    DIRECTION,
  ),
  bad(
    'elicitation/create',
    request(
      '"id":1,"method":"elicitation/create","params":{@"message":"x","requestedSchema":{"type":"object","properties":{}}}',
    ),
    DIRECTION,
  ),
  bad('roots/list', request('"id":1,"method":"roots/list","params":{@"x":1}'), DIRECTION),
  silent('a log message', request('"method":"notifications/message","params":{"level":"info","data":1}'), DIRECTION),
  silent('a changed list', request('"method":"notifications/tools/list_changed"'), DIRECTION),
  silent(
    'an updated resource',
    request('"method":"notifications/resources/updated","params":{"uri":"count://0"}'),
    DIRECTION,
  ),
  silent('a notification that nobody knows', request('"method":"notifications/nothing"'), UNKNOWN),
  silent('a call as a notification', request(COUNT.replace('@', '')), UNKNOWN),
  bad(
    'a notification as a request',
    request('"id":1,"method":"notifications/cancelled","params":{@"requestId":1}'),
    UNKNOWN,
  ),
  bad('a method that nobody knows', request('"id":1,"method":"tools/execute","params":{@"x":1}'), UNKNOWN),
  bad(
    'a method in capitals',
    request('"id":1,"method":"TOOLS/CALL","params":{@"name":"count","arguments":{"by":666}}'),
    UNKNOWN,
  ),
  bad(
    'a method with a space',
    request('"id":1,"method":"tools/call ","params":{@"name":"count","arguments":{"by":666}}'),
    UNKNOWN,
  ),
  bad(
    'a method with NUL',
    request('"id":1,"method":"tools/call\\u0000","params":{@"name":"count","arguments":{"by":666}}'),
    UNKNOWN,
  ),
  bad('an empty method', request('"id":1,"method":"","params":{@"x":1}'), UNKNOWN),
  bad('the method __proto__', request('"id":1,"method":"__proto__","params":{@"x":1}'), UNKNOWN),
  bad('an endless method', request(`"id":1,"method":"${'m'.repeat(100_000)}","params":{@"x":1}`), UNKNOWN),
];

export const BAD_CALLS: readonly BadMessage[] = [
  bad('a call of nothing', call('"arguments":{"by":666}')),
  bad('a call of a number', call('"name":1,"arguments":{"by":666}')),
  bad('a call of an object', call('"name":{"name":"count"},"arguments":{"by":666}')),
  bad('a call in capitals', call('"name":"Count","arguments":{"by":666}'), NO_TOOL),
  bad('a call with a space', call('"name":"count ","arguments":{"by":666}'), NO_TOOL),
  bad('a call of what is not in the list', call('"name":"say","arguments":{"by":666}'), NO_TOOL),
  bad('a call of another server', call('"name":"shut__count","arguments":{"by":666}'), NO_TOOL),
  bad('a call of an endless name', call(`"name":"${'n'.repeat(100_000)}","arguments":{"by":666}`), NO_TOOL),
  bad('a call of __proto__', call('"name":"__proto__","arguments":{"by":666}'), NO_TOOL),
  bad('arguments that are a list', call('"name":"count","arguments":[666]')),
  bad('arguments that are null', call('"name":"count","arguments":null')),
  bad('arguments that are a text', call('"name":"count","arguments":"by=666"')),
  bad('an argument of another kind', counted('{"by":"666"}'), 'ARG_INVALID'),
  bad('a token that is an object', call('"_meta":{%"progressToken":{}},"name":"count","arguments":{"by":666}')),
  bad('a token that is null', call('"_meta":{%"progressToken":null},"name":"count","arguments":{"by":666}')),
  bad('a token with a fraction', call('"_meta":{%"progressToken":1.5},"name":"count","arguments":{"by":666}')),
  bad(
    'a receipt of ours',
    call('"_meta":{%"dev.portcullis/receipt":{}},"name":"count","arguments":{"by":666}'),
    'META_RESERVED',
  ),
  bad('a resource that is an object', request('"id":1,"method":"resources/read","params":{@"uri":{}}')),
  bad(
    'a completion of nothing',
    request('"id":1,"method":"completion/complete","params":{@"ref":{"type":"ref/prompt"}}'),
  ),
];

/** The text of an era. */
export function textFor(message: BadMessage, era: 'legacy' | 'modern'): string | Uint8Array {
  const { text } = message;
  if (typeof text !== 'string') return text;
  const [key = '', inner = ''] = era === 'modern' ? [ENVELOPE, ENVELOPE.slice('"_meta":{'.length, -1)] : [];
  // A message with a _meta of its own has the envelope within it.
  const [outer, within] = text.includes('%') ? ['', inner] : [key, ''];
  return text.replace('@', outer === '' ? '' : `${outer},`).replace('%', within === '' ? '' : `${within},`);
}

export const BAD_MESSAGES: readonly BadMessage[] = [...NOT_JSON, ...NO_MESSAGE, ...NOT_ASKED, ...BAD_CALLS];
