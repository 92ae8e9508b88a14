// Patterns for paths: `**` stands for any number of segments, `*` for any characters within one, `?` for one character. No regular
// expressions: matching takes time proportional to pattern times path, whatever either looks like.

/** True when the pattern matches the whole path. Both are compared segment by segment. */
export function matchesGlob(pattern: readonly string[], path: readonly string[]): boolean {
  return wildcard(pattern, path, (part) => part === '**', matchesSegment);
}

export function globParts(pattern: string): readonly string[] {
  return pattern.split('/').filter((part) => part !== '');
}

function matchesSegment(pattern: string, segment: string): boolean {
  return wildcard(
    Array.from(pattern),
    Array.from(segment),
    (character) => character === '*',
    (wanted, found) => wanted === '?' || wanted === found,
  );
}

/** The classic two-pointer match: on a mismatch, let the last star swallow one more and try again. */
function wildcard<T>(
  pattern: readonly T[],
  subject: readonly T[],
  isStar: (item: T) => boolean,
  matches: (pattern: T, subject: T) => boolean,
): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  let index = 0;
  while (index < subject.length) {
    const wanted = pattern[at];
    const found = subject[index] as T; // index < length
    if (at < pattern.length && isStar(wanted as T)) {
      star = at++;
      resume = index;
    } else if (at < pattern.length && matches(wanted as T, found)) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++resume;
    } else {
      return false;
    }
  }
  while (at < pattern.length && isStar(pattern[at] as T)) at++;
  return at === pattern.length;
}
