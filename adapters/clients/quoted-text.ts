// A text in double quotes, as JSON, YAML and TOML all read it: what does not print is written as an escape that the three share.

import { isJsonObject, type Json } from '../../domain/json.ts';

/** Half a surrogate pair stays as JSON escapes it; YAML and TOML readers refuse that, and so does whoever reads the result again. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    (all) => `\\u${all.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Any value on one line, with a space after commas and colons. */
export function flat(value: Json): string {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(flat).join(', ')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, member]) => `${quoted(key)}: ${flat(member)}`);
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}
