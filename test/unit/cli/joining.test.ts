import { describe, expect, it } from 'vitest';
import { joiningMessage, joiningOf } from '../../../cli/joining.ts';
import { entryOf } from '../../../cli/joining-ahead.ts';
import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import { parseStrictJson } from '../../../domain/strict-json.ts';

const WORDS = { name: 'files', agent: 'cursor', line: { command: 'node', args: ['f.js', ''] } };

describe('what is said who joins', () => {
  it.each<[string, object]>([
    ['another version', { join: 2 }],
    ['a name that is none', { name: 7 }],
    ['a line that is none', { line: { command: 'x', args: [1] } }],
    ['no line and no word of it', { line: undefined }],
    ['an environment that is none', { environment: { A: 'a' } }],
    ['variables that are no pairs', { environment: [['A']] }],
    ['variables that are no text', { environment: [['A', 1]] }],
  ])('is refused: %s', (_what, wrong) => {
    const message = { ...joiningMessage({ ...WORDS, environment: {} }), ...wrong } as JsonObject;
    expect(() => joiningOf(message)).toThrow();
  });

  it('arrives with every variable that there may be, whatever it is called', () => {
    const environment = Object.fromEntries([
      ['__proto__', 'a'],
      ['constructor', 'b'],
      ...Array.from({ length: 10_000 }, (_, at): [string, string] => [`V${at}`, `\n${at}`]),
    ]);
    const bytes = Buffer.from(JSON.stringify(joiningMessage({ ...WORDS, environment })));
    const read = parseStrictJson(bytes, { bytesMax: 4 * 1024 * 1024, depthMax: 8, nodesMax: 50_000 });
    if (!read.ok || !isJsonObject(read.value)) throw new Error(JSON.stringify(read));
    const joining = joiningOf(read.value);
    expect(joining).toEqual({ ...WORDS, environment });
    expect(Object.hasOwn(joining.environment, '__proto__')).toBe(true);
  });
});

describe('an entry joins ahead', () => {
  it.each([
    [['wrap', '--alone', '--name', 'x']],
    [['wrap', '--name', 'x', '--name', 'y']],
    [['wrap', '--name']],
    [['wrap']],
    [['gate']],
    [[]],
  ])('only in the words that init writes: %j', (argv) => {
    expect(entryOf(argv)).toBeUndefined();
  });

  it('with the words behind the dashes as they are', () => {
    expect(entryOf(['wrap', '--agent', 'a', '--name', 'b', '--', 'x', '--', '--name'])).toEqual({
      agent: 'a',
      name: 'b',
      line: { command: 'x', args: ['--', '--name'] },
    });
  });
});
