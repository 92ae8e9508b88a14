// Text that others wrote and that goes into entries: names, methods, reasons. An entry has a bound, and one that cannot be written shuts the
// gate; so no client and no server may choose how long such a text is, or make one of it that has no UTF-8 form.

/** The text, cut at `max` characters with a mark, and without half a surrogate pair. */
export function recordedText(text: string, max: number): string {
  const cut = text.length > max ? `${text.slice(0, max)}…` : text;
  // ES2024, present in every runtime we support; the compiler's ES2023 library does not declare it yet.
  return (cut as string & { toWellFormed(): string }).toWellFormed();
}
