// Whatever a server says of itself, a reviewer's terminal is shown characters and no orders; and any change of it is a change.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../adapters/crypto/node-crypto.ts';
import { definitionLines, marksOf } from '../../../cli/review-text.ts';
import {
  changesBetween,
  definitionDigest,
  type ServerDefinition,
} from '../../../control-plane/integrity/definition.ts';
import { wordChanges } from '../../../control-plane/integrity/word-changes.ts';
import type { JsonObject } from '../../../domain/json.ts';

const HOSTILE = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    fc.constantFrom('\u001b', '\u202e', '\u200b', '\u{E0041}', '\u2066', '\ufeff', '\r', '\n', '\u0430', '\u0007'),
  ),
});
const TOOL = fc.record({ name: HOSTILE, description: HOSTILE, inputSchema: fc.dictionary(HOSTILE, HOSTILE) });
const of = (tools: readonly JsonObject[]): ServerDefinition => ({
  launch: { stdio: { command: 'x' } },
  instructions: null,
  tools,
  prompts: [],
  resourceTemplates: [],
});

describe('a definition', () => {
  it('is shown without any character that a terminal obeys or that cannot be seen', () => {
    fc.assert(
      fc.property(TOOL, (tool) => {
        const definition = of([tool as JsonObject]);
        for (const line of definitionLines(definition)) {
          expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u);
        }
        expect(Array.isArray(marksOf(definition))).toBe(true);
      }),
    );
  });

  it('is another one with any change of a member, and the same in any order of members and tools', () => {
    fc.assert(
      fc.property(TOOL, TOOL, HOSTILE, (one, two, more) => {
        fc.pre(one.name !== two.name);
        const [a, b] = [one as JsonObject, two as JsonObject];
        const turned = Object.fromEntries(Object.entries(a).toReversed());
        expect(changesBetween(of([a, b]), of([b, turned]))).toBeUndefined();
        expect(definitionDigest(sha256, of([a, b]))).toBe(definitionDigest(sha256, of([b, turned])));
        const changed = { ...a, description: `${one.description}${more}.` };
        expect(changesBetween(of([a, b]), of([changed, b]))?.tools.changed).toEqual([one.name]);
        expect(changesBetween(of([a]), of([a, b]))?.tools.added).toEqual([two.name]);
        expect(changesBetween(of([a, b]), of([b]))?.tools.removed).toEqual([one.name]);
      }),
    );
  });

  it('compared word by word loses nothing of either text', () => {
    fc.assert(
      fc.property(fc.lorem({ maxCount: 12 }), fc.lorem({ maxCount: 12 }), (before, after) => {
        const segments = wordChanges(before, after);
        const without = (kind: string) => segments.flatMap((one) => (one.kind === kind ? [] : [one.text])).join('');
        expect(without('added')).toBe(before);
        expect(without('removed')).toBe(after);
      }),
    );
  });
});
