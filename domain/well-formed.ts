// Whether a string is text: every surrogate in it is half of a pair. What is not text has no UTF-8 form, so it can be neither hashed
// nor sent unchanged.

/** True when the string has no lone surrogate. */
export function isWellFormed(text: string): boolean {
  // ES2024, present in every runtime we support; the compiler's ES2023 library does not declare it yet.
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}
