// A promise that no test proves is a wish. This reads the tests and compares what they cite with what is in force.

import { expect, it } from 'vitest';
import { GUARANTEES, NOT_YET } from '../guarantees.ts';
import { lineAt, sources } from '../support/sources.ts';

interface Citation {
  readonly id: string;
  readonly place: string;
}

const citations: Citation[] = sources(['test']).flatMap((source) =>
  [...source.uncommented.matchAll(/\bproves\(\s*(['"`])([^'"`]*)\1/g)]
    .filter((match) => source.code.startsWith('proves', match.index)) // Not one that a string only speaks of.
    .map((match) => ({ id: match[2] ?? '', place: `${source.path}:${lineAt(source.uncommented, match.index)}` })),
);
const cited = new Set(citations.map((citation) => citation.id));

it.each(Object.entries(GUARANTEES))('%s is proven by a test or said to be missing: %s', (id) => {
  const missing = Object.entries(NOT_YET).find(([key]) => key === id)?.[1];
  if (missing === undefined) {
    expect(cited, `${id} is in force, but no test says proves('${id}', ...)`).toContain(id);
  } else {
    expect(missing.trim(), `${id} is not in force: say in a sentence what is missing`).not.toBe('');
    const places = citations.filter((citation) => citation.id === id).map((citation) => citation.place);
    expect(places, `${id} is cited although NOT_YET says: ${missing}`).toEqual([]);
  }
});

it('cites no promise that was never made', () => {
  const unknown = citations.filter(({ id }) => !(id in GUARANTEES)).map(({ id, place }) => `${place}: '${id}'`);
  expect(unknown).toEqual([]);
});

it('lists nothing as missing that was never promised', () => {
  expect(Object.keys(NOT_YET).filter((id) => !(id in GUARANTEES))).toEqual([]);
});
