// Letters that look like others. A small table of those that are used to deceive, and Unicode's own compatibility forms: not every pair that some font
// draws alike, so that a name which is not found here is not thereby known to be what it looks like.

/** What stands first looks like each of what follows. */
const LOOKS_LIKE: readonly (readonly [string, string])[] = [
  ['a', 'аɑα'],
  ['b', 'ЬƄ'],
  ['c', 'сϲⅽᴄ'],
  ['d', 'ԁⅾɗ'],
  ['e', 'еҽєε'],
  ['f', 'ƒ'],
  ['g', 'ɡց'],
  ['h', 'һհ'],
  ['i', 'іıɩιӏ'],
  ['j', 'јϳ'],
  ['k', 'κкᴋ'],
  ['l', 'ⅼӏǀו'],
  ['m', 'мⅿ'],
  ['n', 'ոպ'],
  ['o', 'оοօσΟ०๐໐'],
  ['p', 'рρ'],
  ['q', 'ԛգ'],
  ['r', 'гᴦ'],
  ['s', 'ѕꜱ'],
  ['t', 'тτ'],
  ['u', 'υսц'],
  ['v', 'νѵⅴ'],
  ['w', 'ԝωա'],
  ['x', 'хχⅹ'],
  ['y', 'уүγ'],
  ['z', 'ᴢ'],
  ['A', 'АΑᎪ'],
  ['B', 'ВΒᏴ'],
  ['C', 'СϹᏟ'],
  ['D', 'Ꭰ'],
  ['E', 'ЕΕᎬ'],
  ['F', 'Ϝ'],
  ['G', 'ԌᏀ'],
  ['H', 'НΗᎻ'],
  ['I', 'ІΙӀ'],
  ['J', 'ЈᎫ'],
  ['K', 'КΚᏦ'],
  ['L', 'Ꮮ'],
  ['M', 'МΜᎷ'],
  ['N', 'Ν'],
  ['O', 'ОՕ'],
  ['P', 'РΡᏢ'],
  ['Q', 'Ԛ'],
  ['R', 'Ꭱ'],
  ['S', 'ЅᏚ'],
  ['T', 'ТΤᎢ'],
  ['V', 'ᏙѴ'],
  ['W', 'ᎳԜ'],
  ['X', 'ХΧ'],
  ['Y', 'ҮΥ'],
  ['Z', 'ΖᏃ'],
  ['-', '‐‑‒–—−﹘'],
  ['_', '＿ˍ'],
  ['.', '․'],
  ['/', '∕⁄'],
  ["'", '’‘ʼ′'],
  ['"', '“”″'],
];

/** The punctuation of good typography is confusable in a name and harmless in a text. */
const PUNCTUATION: ReadonlySet<string> = new Set(['-', '_', '.', '/', "'", '"']);

const TABLE: ReadonlyMap<string, string> = new Map(
  LOOKS_LIKE.flatMap(([plain, others]) => [...others].map((other) => [other, plain] as const)),
);

/** The ASCII character that this one looks like; undefined for ASCII itself and where none is known. */
export function looksLike(character: string): string | undefined {
  if ((character.codePointAt(0) ?? 0) < 0x80) return undefined;
  const known = TABLE.get(character);
  if (known !== undefined) return known;
  const compatible = character.normalize('NFKC');
  return /^[\u0021-\u007e]$/.test(compatible) ? compatible : undefined;
}

export function isPunctuationLike(character: string): boolean {
  const plain = looksLike(character);
  return plain !== undefined && PUNCTUATION.has(plain);
}

/** Two texts with one skeleton look alike, or nearly: letters that look alike are one, case and the signs between words do not count. */
export function skeleton(text: string): string {
  return [...text.normalize('NFKD')]
    .map((character) => looksLike(character) ?? character)
    .join('')
    .toLowerCase()
    .replace(/[\p{Mn}\p{Cf}\p{Default_Ignorable_Code_Point}\s_.\-/]/gu, '')
    .replace(/rn/g, 'm')
    .replace(/vv/g, 'w')
    .replace(/[1|il]/g, 'l')
    .replace(/0/g, 'o');
}
