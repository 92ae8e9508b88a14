// Random bad input: messages and requests that were good until something of them was changed. What comes out is a function of the seed.

import type { Json, JsonObject } from '../../domain/json.ts';

/** Numbers from 0 to 1 that follow from a seed (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  pick<T>(many: readonly T[]): T {
    return many[this.below(many.length)] as T;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }
}

const ODD: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e21,
  '',
  ' ',
  'x',
  '../../etc/passwd',
  '__proto__',
  '\u0000',
  '\u2028',
  '\ud83d\ude00',
  'a'.repeat(5_000),
  [],
  {},
  [[]],
  [null],
  { a: { b: { c: {} } } },
  '2026-07-28',
  '2025-11-25',
  'tools/call',
  'file:///etc/passwd',
  'shut__count',
];
const NAMES = [
  'id',
  'method',
  'params',
  'jsonrpc',
  'result',
  'error',
  '_meta',
  'name',
  'arguments',
  'uri',
  'cursor',
  'task',
  'requestState',
];
const MORE_NAMES = [
  'inputResponses',
  'progressToken',
  'io.modelcontextprotocol/protocolVersion',
  'dev.portcullis/receipt',
  'by',
  'level',
  'x',
];

const METHODS = [
  'initialize',
  'ping',
  'tools/list',
  'tools/call',
  'prompts/list',
  'prompts/get',
  'resources/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'resources/templates/list',
  'completion/complete',
  'logging/setLevel',
  'tasks/get',
  'tasks/list',
  'tasks/result',
  'tasks/cancel',
  'tasks/update',
  'server/discover',
  'sampling/createMessage',
  'elicitation/create',
  'roots/list',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/initialized',
  'notifications/roots/list_changed',
  'notifications/message',
  'tools/callx',
];

const META: JsonObject = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': { roots: {}, sampling: {}, elicitation: {} },
};

/** A message as a client could send it: a call of `count` or `echo` half of the time. */
export function goodMessage(dice: Dice, era: 'legacy' | 'modern'): JsonObject {
  const meta = era === 'modern' ? { _meta: META } : {};
  const id = dice.chance(0.5) ? dice.below(1_000) : `id-${dice.below(1_000)}`;
  if (dice.chance(0.5)) {
    const args = dice.chance(0.7)
      ? { name: 'count', arguments: { by: dice.below(1e6) } }
      : { name: 'echo', arguments: { text: 'x' } };
    return { jsonrpc: '2.0', id, method: 'tools/call', params: { ...args, ...meta } };
  }
  const method = dice.pick(METHODS);
  const params: JsonObject = {
    uri: 'count://0',
    name: 'count',
    cursor: 'x',
    level: 'info',
    taskId: 't',
    requestId: id,
    ...meta,
  };
  return method.startsWith('notifications/')
    ? { jsonrpc: '2.0', method, params }
    : { jsonrpc: '2.0', id, method, params };
}

/** Something of a value is another, is missing, or is there twice. */
export function changed(dice: Dice, value: Json, depth = 0): Json {
  if (depth > 0 && dice.chance(0.3)) return dice.pick(ODD);
  if (Array.isArray(value)) return dice.chance(0.5) ? [...value, dice.pick(ODD)] : [];
  if (typeof value !== 'object' || value === null) return dice.pick(ODD);
  const entries = Object.entries(value as JsonObject);
  const at = dice.below(entries.length);
  switch (dice.below(5)) {
    case 0:
      return Object.fromEntries(entries.filter((_entry, index) => index !== at));
    case 1:
      return Object.fromEntries([...entries, [dice.pick([...NAMES, ...MORE_NAMES]), dice.pick(ODD)]]);
    case 2:
      return Object.fromEntries(entries.map(([name, one], index) => [index === at ? name.toUpperCase() : name, one]));
    default:
      return Object.fromEntries(
        entries.map(([name, one], index) => [name, index === at ? changed(dice, one, depth + 1) : one]),
      );
  }
}

const BITS = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '\\',
  '\u0000',
  '\\ud800',
  'null',
  '1e999',
  '//',
  '\ufeff',
  ' ',
  '"by":1,',
  '99999999999999999999',
];

/** Bytes of which some are missing, doubled, others, or in another place. */
export function mangled(dice: Dice, bytes: Uint8Array): Uint8Array {
  const at = dice.below(bytes.length + 1);
  const to = Math.min(bytes.length, at + dice.below(20));
  const before = bytes.subarray(0, at);
  switch (dice.below(6)) {
    case 0:
      return before;
    case 1:
      return Buffer.concat([before, bytes.subarray(to)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    case 3:
      return Buffer.concat([before, Buffer.from(dice.pick(BITS)), bytes.subarray(at)]);
    case 4:
      return Buffer.concat([before, Buffer.from([dice.below(256), dice.below(256)]), bytes.subarray(at)]);
    default: {
      const copy = Uint8Array.from(bytes);
      for (let flips = 1 + dice.below(3); flips > 0 && copy.length > 0; flips--) {
        const place = dice.below(copy.length);
        copy[place] = (copy[place] ?? 0) ^ (1 << dice.below(8));
      }
      return copy;
    }
  }
}

/** A message with something wrong, mostly. */
export function badMessage(dice: Dice, era: 'legacy' | 'modern'): Uint8Array {
  const good = goodMessage(dice, era);
  const one = dice.chance(0.6) ? changed(dice, good) : good;
  const value = dice.chance(0.08)
    ? [one, ...(dice.chance(0.5) ? [changed(dice, goodMessage(dice, 'modern'))] : [])]
    : one;
  const bytes = Buffer.from(JSON.stringify(value));
  return dice.chance(0.4) ? mangled(dice, bytes) : bytes;
}

export type Header = readonly [string, string];

const LINES: readonly string[] = [
  'Transfer-Encoding: chunked',
  'Content-Length: 5',
  'Content-Length: 0',
  'Expect: 100-continue',
  'X-A: \u0000',
  'X-A: a\rb',
  ' folded',
  ': x',
  'Last-Event-ID: 1',
  'Mcp-Session-Id: AAAAAAAAAAAAAAAAAAAAAA',
  'Mcp-Method: tools/list',
  'Mcp-Name: echo',
  'Mcp-Param-By: 7',
  'Upgrade: websocket',
  'Connection: close',
  'Connection: upgrade',
  'Host: evil.example',
  'Origin: http://evil.example',
  'Content-Type: text/plain',
  'Content-Encoding: gzip',
  'MCP-Protocol-Version: 2024-11-05',
  'MCP-Protocol-Version: x',
  `X: ${'y'.repeat(20_000)}`,
  'Accept: */*',
  'Authorization: Bearer x',
];
const PATHS = [
  '/mcp',
  '/mcp/counter',
  '/mcp/shut',
  '/mcp/missing',
  '//mcp',
  '/mcp/../mcp',
  '/',
  '*',
  '/mcp?x',
  '/.well-known/oauth-protected-resource/mcp',
];
const VERBS = ['POST', 'POST', 'POST', 'POST', 'GET', 'DELETE', 'PUT', 'OPTIONS', 'HEAD', 'TRACE', 'CONNECT', 'post'];

/** A request as bytes: half of the time in order, else with headers that may be missing, changed, doubled or in another order. */
export function badRequest(dice: Dice, headers: readonly Header[], body: Uint8Array): Uint8Array {
  if (dice.chance(0.5)) {
    const lines = [...headers, ['Content-Length', String(body.length)]].map(([name, value]) => `${name}: ${value}`);
    return Buffer.concat([Buffer.from(['POST /mcp/counter HTTP/1.1', ...lines, '', ''].join('\r\n'), 'latin1'), body]);
  }
  const lines = headers
    .filter(() => !dice.chance(0.04))
    .flatMap(([name, value]) => {
      const line = `${dice.chance(0.05) ? name.toUpperCase() : name}: ${dice.chance(0.03) ? value.slice(1) : value}`;
      return dice.chance(0.03) ? [line, line] : [line];
    });
  while (dice.chance(0.3)) lines.splice(dice.below(lines.length + 1), 0, dice.pick(LINES));
  const isChunked = dice.chance(0.3);
  const size = dice.chance(0.1) ? dice.below(2_000) : body.length;
  lines.push(isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${size}`);
  const method = dice.chance(0.8) ? 'POST' : dice.pick(VERBS);
  const path = dice.chance(0.8) ? '/mcp/counter' : dice.pick(PATHS);
  const version = dice.chance(0.95) ? '1.1' : dice.pick(['1.0', '0.9', '2.0', '1.10']);
  const end = dice.chance(0.97) ? '\r\n' : '\n';
  const head = Buffer.from([`${method} ${path} HTTP/${version}`, ...lines, '', ''].join(end), 'latin1');
  const parts = isChunked
    ? [
        Buffer.from(`${size.toString(16)}\r\n`),
        body,
        Buffer.from('\r\n'),
        Buffer.from(dice.chance(0.9) ? '0\r\n\r\n' : ''),
      ]
    : [body];
  const whole = Buffer.concat([head, ...parts]);
  return dice.chance(0.15) ? mangled(dice, whole) : whole;
}
