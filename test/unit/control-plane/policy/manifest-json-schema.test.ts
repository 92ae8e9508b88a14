import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { schemaAddress } from '../../../../cli/onboarding/own-program.ts';
import { manifestJsonSchema, wordsPath } from '../../../../control-plane/policy/manifest-json-schema.ts';
import { MANIFEST_WORDS } from '../../../../control-plane/policy/manifest-words.ts';
import { parseManifest } from '../../../../control-plane/policy/parse-manifest.ts';
import { problemText } from '../../../../control-plane/policy/source.ts';
import type { Json } from '../../../../domain/json.ts';
import { schemaText } from '../../../../packaging/generated.ts';

const ROOT = new URL('../../../../', import.meta.url);
const BASE = 'apiVersion: portcullis/v1\n';
const DIGEST = `"sha256:${'A'.repeat(43)}"`;
const TOP = Object.keys(MANIFEST_WORDS).filter((path) => !path.includes('.'));
const valid = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false }).compile(manifestJsonSchema());

function manifestsBelow(folder: string): string[] {
  return readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('portcullis.yaml'))
    .map((name) => `${folder}${name}`);
}

/** Manifests in the pages, fenced or indented: whole ones, and parts that begin with a key of the top. */
function manifestsOfPages(): [string, string][] {
  const pages = readdirSync(new URL('docs/', ROOT), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`);
  return [...pages, 'README.md'].flatMap((page) => {
    const text = readFileSync(new URL(page, ROOT), 'utf8');
    const fenced = [...text.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, block = '']) => block);
    const indented = [...text.matchAll(/(?<=\n\n)(?: {4}.*\n)+/g)].map(([block]) => block.replace(/^ {4}/gm, ''));
    return (
      [...fenced, ...indented]
        .filter((block) => TOP.includes(/^([a-zA-Z]+):\s/.exec(block.replace(/^#.*\n/gm, ''))?.[1] ?? ''))
        // What a reader is to fill in.
        .map((block) => block.replaceAll('"sha256:..."', DIGEST).replaceAll('"..."', `"${'A'.repeat(43)}"`))
        .map((block, at): [string, string] => [
          `${page} (${at + 1})`,
          /^apiVersion:/m.test(block) ? block : `${BASE}${block}`,
        ])
    );
  });
}

const EXAMPLES: [string, string][] = [
  ...manifestsBelow('examples/').map((file): [string, string] => [file, readFileSync(new URL(file, ROOT), 'utf8')]),
  ...manifestsOfPages(),
];

/** Every key that the schema names, by its path. */
function keysOf(node: Json | undefined, path = ''): string[] {
  if (typeof node !== 'object' || node === null || Array.isArray(node)) return [];
  const { properties, items, additionalProperties, anyOf, oneOf } = node as { [key: string]: Json | undefined };
  const inner = Object.entries((properties ?? {}) as { [key: string]: Json }).flatMap(([key, value]) => {
    const at = path === '' ? key : `${path}.${key}`;
    return [at, ...keysOf(value, at)];
  });
  const branches = [anyOf, oneOf].flatMap((some) => (Array.isArray(some) ? some : []));
  return [
    ...inner,
    ...keysOf(items, `${path}[]`),
    ...keysOf(additionalProperties, `${path}.*`),
    ...branches.flatMap((branch) => keysOf(branch, path)),
  ];
}

describe('the schema of the manifest', () => {
  it('lies in the repository as the code says it: npm run generate', () => {
    const { file, text } = schemaText();
    expect(readFileSync(new URL(file, ROOT), 'utf8')).toBe(text);
    expect(schemaAddress()).toBe(new URL(file, ROOT).href);
  });

  it('has words for every key, and no words for others', () => {
    const keys = new Set(keysOf(manifestJsonSchema()).map(wordsPath));
    expect([...keys].sort()).toEqual(Object.keys(MANIFEST_WORDS).sort());
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['a list', '- a\n'],
    ['another version', 'apiVersion: portcullis/v2\n'],
    ['no version', 'servers: {}\n'],
    ['an unknown key', `${BASE}server: {}\n`],
    ['an unknown key deep inside', `${BASE}servers: { fs: { stdio: { command: node, arg: [x] } } }\n`],
    ['an unknown key of an alternative', `${BASE}agents: { a: { auth: { apikey: x } } }\n`],
    ['a wrong form', `${BASE}agents: 5\n`],
    ['an agent that proves nothing', `${BASE}agents: { a: { roles: [dev] } }\n`],
    ['an agent that proves itself with nothing', `${BASE}agents: { a: { auth: {} } }\n`],
    [
      'an agent that proves itself in two ways',
      `${BASE}agents: { a: { auth: { apiKey: ${DIGEST}, jwt: { sub: a } } } }\n`,
    ],
    ['a key in place of its digest', `${BASE}agents: { a: { auth: { apiKey: "the key" } } }\n`],
    ['an operator with a key in place of its digest', `${BASE}operators: { a: { apiKey: "the key" } }\n`],
    ['three pins of one agent', `${BASE}agents: { a: { auth: { spki: [${DIGEST}, ${DIGEST}, ${DIGEST}] } } }\n`],
    ['a name with a space', `${BASE}agents: { "a b": { auth: local } }\n`],
    ['a server with two parts in its name', `${BASE}servers: { a__b: { stdio: { command: a } } }\n`],
    ['a server with _ at its end', `${BASE}servers: { a_: { stdio: { command: a } } }\n`],
    ['a server that is reached in no way', `${BASE}servers: { a: {} }\n`],
    [
      'a server that is reached in two ways',
      `${BASE}servers: { a: { stdio: { command: a }, http: { url: "https://a" } } }\n`,
    ],
    ['a server without a command', `${BASE}servers: { a: { stdio: {} } }\n`],
    ['arguments that are one text', `${BASE}servers: { a: { stdio: { command: a, args: "-x" } } }\n`],
    ['a secret in a header', `${BASE}servers: { a: { http: { url: "https://a", headers: { A: secret } } } }\n`],
    ['a pin that is none', `${BASE}servers: { a: { http: { url: "https://a", pins: [x] } } }\n`],
    ['a permit that lives too long', `${BASE}defaults: { permitTtlMs: 60001 }\n`],
    ['a server that takes no call', `${BASE}servers: { a: { stdio: { command: a }, limits: { concurrency: 0 } } }\n`],
    ['a way to share that is none', `${BASE}servers: { a: { stdio: { command: a }, isolation: per-call } }\n`],
    [
      'a fact of no kind',
      `${BASE}servers: { a: { stdio: { command: a } } }\nfacts: { a: { t: { f: { from: [/p] } } } }\n`,
    ],
    ['no rules', `${BASE}policies: []\n`],
    ['what is not supported yet', `${BASE}approvals: {}\n`],
  ])('refuses %s, as the gate does', (_, text) => {
    expect(valid(parse(text))).toBe(false);
    expect(parseManifest(text, 'p.yaml').ok).toBe(false);
  });

  it('finds examples to judge', () => {
    expect(EXAMPLES.length).toBeGreaterThan(12);
  });

  it.each(EXAMPLES)('accepts %s', (_, text) => {
    expect(valid(parse(text)), JSON.stringify(valid.errors, undefined, 1)).toBe(true);
  });

  it.each(manifestsBelow('examples/'))('accepts what the gate accepts: %s', (file) => {
    const read = parseManifest(readFileSync(new URL(file, ROOT), 'utf8'), file);
    expect(read.ok ? [] : read.problems.map(problemText)).toEqual([]);
  });
});
