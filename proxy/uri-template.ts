// Templates of URIs (RFC 6570), as far as it takes to tell whose resource a URI may be. Nothing is allowed by a match.

/** Whether a URI could come from a template: its literal parts are there, in order. What lies between them is not looked at. */
export function couldMake(template: string, uri: string): boolean {
  const literals = template.split(/\{[^{}]*\}/);
  if (literals.length < 2) return template === uri;
  const first = literals[0] ?? '';
  const last = literals.at(-1) ?? '';
  if (!uri.startsWith(first) || !uri.endsWith(last)) return false;
  let at = first.length;
  for (const literal of literals.slice(1, -1)) {
    const found = uri.indexOf(literal, at);
    if (found < 0) return false;
    at = found + literal.length;
  }
  return uri.length - last.length >= at;
}
