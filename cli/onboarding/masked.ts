// A client's words as they may be shown: no value of a variable or a header, and nothing in arguments or addresses that looks like a secret.
// It errs to the side of showing too little.

import { isJsonObject, type Json } from '../../domain/json.ts';

export const MASK = '***';

/** Every value below these is a secret, whatever it is called. */
const SECRET_MAPS = new Set([
  'env',
  'envs',
  'environment',
  'headers',
  'http_headers',
  'requestOptions',
  'inputs',
  'oauth',
  'auth',
]);
const SECRET_NAME =
  /(token|secret|passw|passphrase|credential|api[-_]?key|private[-_]?key|access[-_]?key|authori[sz]ation|bearer|cookie|signature)/i;
const SECRET_OPTION =
  /^-{1,2}(header|auth|key|pat|[A-Za-z0-9_.-]*(token|secret|passw|credential|key|auth)[A-Za-z0-9_.-]*)$/i;
/** What comes after it is a secret. */
const SECRET_BEFORE = new RegExp(`${SECRET_OPTION.source}|^(bearer|basic)$`, 'i');
const SECRET_LOOK =
  /^(sk-|sk_|pk_|rk_|ghp_|gho_|ghs_|ghu_|github_pat_|glpat-|xox[a-z]-|AKIA|ASIA|eyJ|AIza|npm_|hf_|dop_v1_|shpat_|SG\.|whsec_)/;

/** A name and its value inside a word, as connection strings, JSON and shells write it. */
const SECRET_INSIDE =
  /((?:token|secret|passw|pwd|passphrase|credential|key|authori[sz]ation|cookie|signature)[\w.-]{0,64}\\?["']?\s{0,4}[=:]\s{0,4})("(?:[^"\\]|\\.)*"?|'[^']*'?|\\"(?:[^"\\]|\\[^"])*(?:\\")?|[^"'\\\s;,&}]+)/gi;

export function maskedValue(value: Json, key: string | number | undefined): Json {
  if (typeof key === 'string' && SECRET_MAPS.has(key)) return blanked(value);
  if (typeof key === 'string' && SECRET_NAME.test(key)) return typeof value === 'boolean' ? value : MASK;
  if (Array.isArray(value)) {
    const list = value as readonly Json[];
    return list.every((item) => typeof item === 'string')
      ? [...maskedWords(list)]
      : list.map((item) => maskedValue(item, undefined));
  }
  if (isJsonObject(value))
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, maskedValue(member, name)]));
  return typeof value === 'string' ? maskedWord(value) : value;
}

/** The names stay, the values go. */
function blanked(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map(blanked);
  if (isJsonObject(value))
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, blanked(member)]));
  return MASK;
}

export function maskedWords(words: readonly string[]): readonly string[] {
  return words.map((word, index) => {
    const before = words[index - 1] ?? '';
    return SECRET_BEFORE.test(before) ? MASK : maskedWord(word);
  });
}

export function maskedWord(word: string): string {
  const [, name, rest] = /^(-{0,2}[A-Za-z_][A-Za-z0-9_.-]*)[=:](.+)$/s.exec(word) ?? [];
  if (name !== undefined && rest !== undefined && (SECRET_NAME.test(name) || SECRET_OPTION.test(name)))
    return `${word.slice(0, name.length + 1)}${MASK}`;
  if (name !== undefined && rest !== undefined && SECRET_LOOK.test(rest)) return `${name}=${MASK}`;
  if (SECRET_LOOK.test(word)) return MASK;
  const within = word.replace(SECRET_INSIDE, (_, named: string) => `${named}${MASK}`);
  if (within !== word) return maskedWord(within);
  // The words of a shell.
  if (/\s/.test(word)) {
    const parts = word.split(/(\s+)/);
    const shown = maskedWords(parts.filter((_, index) => index % 2 === 0));
    return parts.map((part, index) => (index % 2 === 0 ? shown[index / 2] : part)).join('');
  }
  return word.replace(/[a-z][a-z0-9+.-]{0,30}:\/\/[^\s"']+/gi, maskedAddress);
}

/** Who logs in and what is asked may be secrets; where it leads is not. */
export function maskedAddress(text: string): string {
  if (!URL.canParse(text)) return MASK;
  const url = new URL(text);
  const user = url.username !== '' || url.password !== '' ? `${MASK}@` : '';
  const query = url.search === '' ? '' : `?${MASK}`;
  const fragment = url.hash === '' ? '' : `#${MASK}`;
  if (user === '' && query === '' && fragment === '') return text;
  return `${url.protocol}//${user}${url.host}${url.pathname}${query}${fragment}`;
}
