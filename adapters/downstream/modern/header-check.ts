// The headers that mirror a message: whoever routes by them must not be told something else than whoever reads the body. Nothing is decided by
// them; a header that disagrees, is missing or says too much refuses the message.

import { isJsonObject, type Json, type JsonObject } from '../../../domain/json.ts';
import type { ProtocolHeaders } from '../../../proxy/client-port.ts';
import { NAMED_BY } from '../../../proxy/method-table.ts';
import { KEY } from './protocol.ts';

export interface Mirrored {
  readonly method: string;
  readonly params: JsonObject | undefined;
}

const BASE64_VALUE = /^=\?base64\?(.*)\?=$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const DECIMAL = /^-?\d+(\.\d+)?$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The header that does not agree with a message; undefined when all do. A notification has no envelope, so its version is the header's. */
export function checkHeaders(headers: ProtocolHeaders, { method, params }: Mirrored): string | undefined {
  const meta = params?._meta;
  const version = meta !== undefined && isJsonObject(meta) ? meta[KEY.version] : undefined;
  if (version !== undefined && headers['mcp-protocol-version'] !== version) return 'MCP-Protocol-Version';
  if (headers['mcp-method'] !== method) return 'Mcp-Method';
  const member = NAMED_BY[method];
  const name = member === undefined ? undefined : params?.[member];
  if (typeof name === 'string' && decoded(headers['mcp-name']) !== name) return 'Mcp-Name';
  return undefined;
}

/** The header of a parameter that does not agree with the arguments, by what the tool's schema says about headers. */
export function checkParameters(headers: ProtocolHeaders, schema: JsonObject, args: Json): string | undefined {
  const { properties } = schema;
  if (properties === undefined || !isJsonObject(properties)) return undefined;
  for (const [key, property] of Object.entries(properties)) {
    if (!isJsonObject(property)) continue;
    const value = isJsonObject(args) && Object.hasOwn(args, key) ? (args[key] ?? null) : null;
    const name = property['x-mcp-header'];
    if (typeof name === 'string' && TOKEN.test(name)) {
      const given = headers[`mcp-param-${name.toLowerCase()}`];
      if (!agrees(given, value, property.type)) return `Mcp-Param-${name}`;
    }
    const within = checkParameters(headers, property, value);
    if (within !== undefined) return within;
  }
  return undefined;
}

function agrees(given: string | undefined, value: Json, type: Json | undefined): boolean {
  if (value === null) return given === undefined;
  // Only a primitive has a header: where the argument is none, the schema refuses it later.
  if (typeof value === 'object') return given === undefined;
  const said = decoded(given);
  if (said === undefined) return false;
  const isNumeric = typeof value === 'number' && (type === 'integer' || type === 'number');
  return isNumeric && DECIMAL.test(said) ? Number(said) === value : said === String(value);
}

/** What a header says; undefined where it is missing or its Base64 is none. */
function decoded(given: string | undefined): string | undefined {
  const base64 = given === undefined ? undefined : BASE64_VALUE.exec(given)?.[1];
  if (base64 === undefined) return given;
  if (!BASE64.test(base64)) return undefined;
  const bytes = Buffer.from(base64, 'base64');
  // Spare bits that say nothing could be read as something else elsewhere.
  if (bytes.toString('base64') !== base64) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
