// Wrap and unwrap, for every way of writing a server and for surroundings nobody would write: the values come back, the surroundings stay.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify as yamlText } from 'yaml';
import { editText, parseText, type TextFormat } from '../../../../adapters/clients/edit-text.ts';
import { readEntry, restoredEntry, wrappedEntry } from '../../../../adapters/clients/entry-shapes.ts';
import { SHAPES, type ShapeName } from '../../../../adapters/clients/shapes.ts';
import { type Edit, valueAt } from '../../../../adapters/clients/text-edit.ts';
import type { Json, JsonObject } from '../../../../domain/json.ts';
import { launchFor } from '../../../support/client-launch.ts';

const NAMES = Object.keys(SHAPES) as ShapeName[];

/** Any text but what a client would fill in or what no YAML or TOML can hold. */
const word = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .filter((text) => !/[${}\p{Cs}\uFEFF]|(?!\t)\p{Cc}/u.test(text));
const variables = fc.dictionary(fc.stringMatching(/^[A-Z][A-Z0-9_]{0,6}$/), word, { maxKeys: 3 });

function localEntry(name: ShapeName, line: readonly string[], env: Readonly<Record<string, string>>): JsonObject {
  const shape = SHAPES[name];
  const [command = 'x', ...args] = line;
  const type = shape.typeNeeded ? { type: shape.stdioType } : {};
  const own = shape.commandHoldsArgs ? { [shape.command]: line } : { [shape.command]: command, args };
  return { ...type, ...own, [shape.env]: env, timeout: 7 };
}

function remoteEntry(name: ShapeName, headers: Readonly<Record<string, string>>): JsonObject {
  const shape = SHAPES[name];
  const address = Object.keys(shape.urls)[0] ?? 'url';
  const type = Object.entries(shape.types).find(([, means]) => means === 'remote' || means === 'http')?.[0] ?? 'http';
  const nested = [...shape.headers].reverse().reduce<Json>((inner, key) => ({ [key]: inner }), headers) as JsonObject;
  return { type, [address]: 'https://far.example/mcp', ...nested };
}

const entries = fc.record({
  shape: fc.constantFrom(...NAMES),
  name: word.filter((text) => text !== '' && text !== '__proto__'),
  line: fc
    .tuple(
      word.filter((text) => text.trim() !== ''),
      fc.array(word, { maxLength: 3 }),
    )
    .map(([a, rest]) => [a, ...rest]),
  env: variables,
  remote: fc.boolean(),
});

function rawOf({
  shape,
  line,
  env,
  remote,
}: {
  shape: ShapeName;
  line: string[];
  env: Record<string, string>;
  remote: boolean;
}): JsonObject {
  const raw = remote ? remoteEntry(shape, env) : localEntry(shape, line, env);
  const inside = SHAPES[shape].inside;
  return inside === undefined ? raw : { [inside]: raw };
}

function tomlText(name: string, raw: JsonObject): string {
  const value = (one: Json): string =>
    Array.isArray(one)
      ? `[ ${(one as readonly Json[]).map(value).join(' , ')} ]`
      : typeof one === 'object' && one !== null
        ? `{${Object.entries(one)
            .map(([key, member]) => `${JSON.stringify(key)}=${value(member)}`)
            .join(', ')}}`
        : JSON.stringify(one);
  const lines = Object.entries(raw).map(([key, member]) => `${key}  =  ${value(member)} # of ${key}`);
  return [
    `# top`,
    `odd   = 1`,
    `[servers.${JSON.stringify(name)}] # mine`,
    ...lines,
    '',
    '# next',
    '[other]',
    'k=1',
  ].join('\n');
}

/** A file that holds the one entry at ["servers", name], between odd neighbours. */
function fileOf(
  format: TextFormat,
  name: string,
  raw: JsonObject,
  gap: string,
): { text: string; head: string; tail: string } {
  if (format === 'toml') {
    const text = tomlText(name, raw);
    const start = text.indexOf('\n', text.indexOf('[servers')) + 1;
    return { text, head: text.slice(0, start), tail: text.slice(text.indexOf('# next')) };
  }
  if (format === 'yaml') {
    const body = yamlText({ [name]: raw }, { indent: 2, lineWidth: 0 })
      .replace(/^/gm, '  ')
      .trimEnd();
    const head = `# top\nodd:   1 # odd\nservers:\n`;
    const tail = `\n# next\nother:\n- 1`;
    return { text: head + body + tail, head, tail };
  }
  const body = JSON.stringify(raw, null, gap);
  const head =
    format === 'json'
      ? `{ "odd" :1,"servers":{${JSON.stringify(name)}:`
      : `// top\n{ "odd" :1, /* x */ "servers":{ ${JSON.stringify(name)} :`;
  const tail = format === 'json' ? `} , "k":[ ]}` : `, } /* end */ , "k":[ ],\n}`;
  return { text: head + body + tail, head, tail };
}

describe('wrapping a server', () => {
  it('and unwrapping it gives the same value, and leaves every byte around it', () => {
    fc.assert(
      fc.property(
        entries,
        fc.constantFrom<TextFormat>('json', 'jsonc', 'toml', 'yaml'),
        fc.constantFrom('', '  ', '\t'),
        fc.boolean(),
        fc.boolean(),
        (given, format, gap, crlf, bom) => {
          const raw = rawOf(given);
          const file = fileOf(format, given.name, raw, gap);
          const dressed = (text: string) => (crlf ? text.replaceAll('\n', '\r\n') : text);
          const text = (bom ? '\uFEFF' : '') + dressed(file.text);
          const path = ['servers', given.name];
          const before = parseText(format, text);
          if (!before.ok) throw new Error(`${before.problem.reason}: ${text}`);
          const held = valueAt(before.value, path) as JsonObject;
          const entry = readEntry(given.shape, held);
          const launch = launchFor('agent', given.name, entry);
          if (launch === undefined) throw new Error(`${JSON.stringify(entry)}: ${text}`);
          const at = (edits: Edit[]) => edits.map((edit) => ({ ...edit, path: [...path, ...edit.path] }));

          const wrapped = editText(format, text, at(wrappedEntry(given.shape, held, launch)));
          if (!wrapped.ok) throw new Error(`${wrapped.problem.reason}: ${text}`);
          expect(wrapped.text.startsWith((bom ? '\uFEFF' : '') + dressed(file.head))).toBe(true);
          expect(wrapped.text.endsWith(dressed(file.tail))).toBe(true);
          if (crlf) expect(wrapped.text.replaceAll('\r\n', '')).not.toContain('\n');
          const after = parseText(format, wrapped.text);
          if (!after.ok) throw new Error(after.problem.reason);
          const now = valueAt(after.value, path) as JsonObject;
          expect(readEntry(given.shape, now).kind).toBe('wrapped');

          const back = restoredEntry(held, now, now);
          expect(back.conflicts).toEqual([]);
          const restored = editText(format, wrapped.text, at(back.edits));
          if (!restored.ok) throw new Error(`${restored.problem.reason}: ${wrapped.text}`);
          expect(restored.text.startsWith((bom ? '\uFEFF' : '') + dressed(file.head))).toBe(true);
          expect(restored.text.endsWith(dressed(file.tail))).toBe(true);
          expect(parseText(format, restored.text)).toEqual(before);
        },
      ),
      { numRuns: 400 },
    );
  });

  it('is refused or exact for a text that is cut anywhere', () => {
    const { text } = fileOf('jsonc', 'a', { command: 'x', args: ['y'] }, '  ');
    for (const format of ['jsonc', 'yaml', 'toml'] as const) {
      const whole = format === 'jsonc' ? text : fileOf(format, 'a', { command: 'x', args: ['y'] }, '').text;
      for (let length = 0; length < whole.length; length += 1) {
        const cut = whole.slice(0, length);
        const edited = editText(format, cut, [{ path: ['servers', 'a', 'command'], value: 'n' }]);
        if (!edited.ok) continue;
        const read = parseText(format, edited.text);
        expect(read.ok && valueAt(read.value, ['servers', 'a', 'command'])).toBe('n');
      }
    }
  });
});
