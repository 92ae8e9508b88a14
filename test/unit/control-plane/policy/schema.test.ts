import { describe, expect, it } from 'vitest';
import { readArguments } from '../../../../control-plane/policy/arguments.ts';
import { encodeContext } from '../../../../control-plane/policy/context.ts';
import { inputShape } from '../../../../control-plane/policy/input-shape.ts';
import { parseManifest } from '../../../../control-plane/policy/parse-manifest.ts';
import { buildSchema } from '../../../../control-plane/policy/schema.ts';
import { problemText, type ServerTools } from '../../../../control-plane/policy/source.ts';
import type { Json, JsonObject } from '../../../../domain/json.ts';
import { FILE_TOOLS, MANIFEST, tool } from '../../../support/policy.ts';

function build(manifest: string, tools: readonly ServerTools[] = [FILE_TOOLS]) {
  const parsed = parseManifest(manifest, 'p.yaml');
  if (!parsed.ok) throw new Error(parsed.problems.map(problemText).join('\n'));
  return buildSchema(parsed.manifest, parsed.document, tools);
}

function problemsOf(manifest: string): string[] {
  const built = build(manifest);
  return built.ok ? [] : built.problems.map(problemText);
}

describe('the schema', () => {
  it('refuses groups and facts about tools that the server does not have', () => {
    expect(problemsOf(MANIFEST.replace('fs/read_multiple_files]', 'fs/read_multiple_file]'))).toEqual([
      'p.yaml:19:32: the server "fs" has no tool "read_multiple_file" (did you mean fs/read_multiple_files?)',
    ]);
    expect(problemsOf(MANIFEST.replace('    write_file:', '    write_fil:'))).toEqual([
      'p.yaml:16:5: the server "fs" has no tool "write_fil" (did you mean write_file?)',
    ]);
  });

  it('refuses a fact whose arguments no tool has', () => {
    expect(problemsOf(MANIFEST.replace('from: [/content]', 'from: [/contents]'))).toEqual([
      'p.yaml:17:37: no argument of "write_file" lies at /contents',
    ]);
  });

  it('refuses tools of a server that the manifest does not name', () => {
    expect(build(MANIFEST, [FILE_TOOLS, { server: 'web', tools: [] }]).ok).toBe(false);
  });

  it('gives every tool an action in its groups with its own typed context', () => {
    const built = build(MANIFEST);
    if (!built.ok) throw new Error('refused');
    expect(built.model.schema).toMatchObject({
      Acme: {
        entityTypes: { Agent: { memberOfTypes: ['Role'] }, Role: {}, Server: {} },
        actions: {
          'fs.read': {},
          'fs/read_text_file': {
            memberOf: [{ id: 'fs.read' }, { id: 'fs:tools/call' }],
            appliesTo: {
              principalTypes: ['Agent'],
              resourceTypes: ['Server'],
              context: {
                attributes: {
                  input: {
                    attributes: {
                      path: { type: 'String', required: true },
                      head: { type: 'Long', required: false },
                    },
                  },
                  facts: { attributes: { paths: { required: true } } },
                },
              },
            },
          },
          'fs/read_multiple_files': {
            appliesTo: { context: { attributes: { facts: { attributes: { paths: { required: false } } } } } },
          },
          'fs/list_allowed_directories': {
            memberOf: [{ id: 'fs:tools/call' }],
            appliesTo: { context: { attributes: { facts: { attributes: {} } } } },
          },
          'fs:tools/call': {},
          'fs:resources/read': {
            memberOf: [],
            appliesTo: {
              context: {
                attributes: {
                  input: { attributes: { uri: { type: 'String', required: true } } },
                  facts: { attributes: {} },
                },
              },
            },
          },
        },
      },
    });
  });
});

const SHAPE = inputShape({
  type: 'object',
  required: ['text'],
  additionalProperties: true,
  properties: {
    text: { type: 'string' },
    choice: { enum: ['a', 'b'] },
    number: { type: 'number' },
    integer: { type: 'integer' },
    flag: { type: 'boolean' },
    list: { type: 'array', items: { type: 'string' } },
    numbers: { type: 'array', items: { type: 'number' } },
    objects: { type: 'array', items: { type: 'object' } },
    closed: { type: 'object', properties: { a: { type: 'string' } } },
    open: { type: 'object', additionalProperties: { type: 'string' } },
    either: { anyOf: [{ type: 'string' }, { type: 'null' }] },
    nullable: { type: ['string', 'null'] },
    mixed: { enum: ['a', 1] },
    constructor: { type: 'string' },
  },
});

function input(args: JsonObject): unknown {
  const result = encodeContext('A', SHAPE, args, {
    facts: {},
    depth: 0,
    rootAgent: 'a',
    path: ['a'],
    approvals: [],
    state: 'normal',
    epoch: 1,
  });
  return result.ok ? result.context.input : result.denial.code;
}

describe('the context', () => {
  it.each<[string, JsonObject, unknown]>([
    ['an argument that the tool does not declare', { text: 'x', mode: 'y' }, 'ARG_INVALID'],
    ['a member that a closed object does not declare', { text: 'x', closed: { a: 'b', c: 'd' } }, 'ARG_INVALID'],
    ['a missing argument', {}, 'ARG_INVALID'],
    ['a text that is a number', { text: 5 }, 'ARG_INVALID'],
    ['a text that is null', { text: null }, 'ARG_INVALID'],
    ['a list that is a text', { text: 'x', list: 'y' }, 'ARG_INVALID'],
    ['a list with one number', { text: 'x', list: ['y', 5] }, 'ARG_INVALID'],
    ['a record in place of a text', { text: { a: 1 } }, 'ARG_INVALID'],
    ['a fraction', { text: 'x', number: 0.5 }, 'ARG_NOT_REPRESENTABLE'],
    ['a fraction in a list', { text: 'x', numbers: [1, 2.5] }, 'ARG_NOT_REPRESENTABLE'],
    ['a number beyond exactness', { text: 'x', integer: 2 ** 53 }, 'ARG_NOT_REPRESENTABLE'],
  ])('refuses %s', (_, args, code) => {
    expect(input(args)).toBe(code);
  });

  it('shows what has a counterpart, and hides the rest', () => {
    const seen = {
      text: 'x',
      choice: 'a',
      number: 3,
      integer: -4,
      flag: true,
      list: ['a', 'b'],
      numbers: [1],
      closed: { a: 'b' },
    };
    const hidden = { objects: [{}], open: { x: 'y' }, either: null, nullable: null, mixed: 1 };
    expect(input({ ...seen, ...hidden })).toEqual(seen);
  });
});

describe('arguments', () => {
  const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

  it.each<[string, string]>([
    ['a list', '[]'],
    ['a text', '"x"'],
    ['null', 'null'],
    ['what is not JSON', '{'],
    ['nesting', nested(34)],
    ['many values', `{"a":[${'1,'.repeat(10_000)}1]}`],
    ['a prototype', '{"__proto__":{}}'],
    ['a constructor deep inside', '{"a":[{"constructor":1}]}'],
    ['an entity of the engine', '{"a":{"__entity":{"type":"Acme::Role","id":"dev"}}}'],
    ['an extension of the engine', '{"a":{"__extn":{"fn":"ip","arg":"10.0.0.1"}}}'],
    ['an expression of the engine', '{"a":{"__expr":"1"}}'],
    ['a lone surrogate', '{"a":"\\ud800"}'],
    ['a lone surrogate in a name', '{"\\ud800":1}'],
    ['infinity', '{"a":1e400}'],
    ['an integer that was rounded', '{"a":9007199254740993}'],
  ])('are refused with %s', (_, text) => {
    const result = readArguments(text, SHAPE);
    expect(result.ok ? 'accepted' : result.denial.code).toBe('ARG_INVALID');
  });

  it.each<[string, Json]>([
    ['{}', {}],
    [nested(32), JSON.parse(nested(32)) as Json],
    ['{"a":9007199254740991,"b":0.5,"c":"😀"}', { a: 9007199254740991, b: 0.5, c: '😀' }],
  ])('are read: %s', (text, value) => {
    expect(readArguments(text, SHAPE)).toEqual({ ok: true, args: value });
  });

  it('keep a tool without arguments without arguments', () => {
    expect([...inputShape(tool('t', {}).inputSchema).fields.keys()]).toEqual([]);
  });
});
