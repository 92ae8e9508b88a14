// docs/reliability.md is held to the tests that it names.

import { describe, expect, it } from 'vitest';
import { missing, readDocument, rowsOf, testsNamedIn } from '../support/documents.ts';

const rows = rowsOf(readDocument('docs/reliability.md'));

describe('what is promised when something fails', () => {
  it('is said of many faults', () => {
    expect(rows.length).toBeGreaterThan(40);
    expect(rows.filter((cells) => cells.length !== 3)).toEqual([]);
  });

  it.each(rows)('names the tests that show it: %s', (_fault, promise = '', tests = '') => {
    const named = testsNamedIn(tests);
    // Each link is one that is checked.
    expect(named).toHaveLength(tests.split('](').length - 1);
    expect(named.flatMap((test) => missing(test) ?? [])).toEqual([]);
    if (named.length === 0) expect(promise).toMatch(/\*\*(?:not tested|not built)\*\*/);
  });
});
