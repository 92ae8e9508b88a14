// Hostile text made visible. Names, descriptions, arguments and errors come from servers and clients; in a terminal or a log line they must
// not move the cursor, hide, reverse or add lines. Letters of every script stay as they are.

/** Everything that prints as nothing or as something else: controls, bidirectional and zero-width marks, tags, separators, private use. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u00A0]/gu;

function escapeOne(character: string): string {
  switch (character) {
    case '\n':
      return '\\n';
    case '\r':
      return '\\r';
    case '\t':
      return '\\t';
    default:
      return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  }
}

/** One line of text in which every character can be seen. Cut at `max` characters, with a mark. */
export function visibleText(text: string, max = 2_000): string {
  const cut = text.length > max ? `${text.slice(0, max)}… (${text.length} characters)` : text;
  return cut.replace(HIDDEN, escapeOne);
}
