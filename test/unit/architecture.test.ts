// Reads the sources and checks the sentences the architecture rests on. A failure names file and line; the remedy is to move the code,
// not to loosen the sentence.

import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blank, importsOf, places, type Source, sources } from '../support/sources.ts';

/** The layers, and whose words each may use besides its own. Imports go one way: nothing here may form a circle. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  'state-machines': ['domain'],
  ledger: ['domain'],
  'control-plane': ['domain'],
  proxy: ['control-plane', 'ledger', 'state-machines', 'domain'],
  adapters: ['proxy', 'control-plane', 'ledger', 'state-machines', 'domain'],
  cli: ['adapters', 'proxy', 'control-plane', 'ledger', 'state-machines', 'domain'],
  console: ['ledger', 'state-machines', 'domain'],
};

/** They take values and return values: time, ids and chance are arguments. */
const PURE = ['domain', 'state-machines', 'ledger', 'control-plane'];

/** All use of Node is in adapters and cli: what these need from the world comes in as functions. */
const WITHOUT_NODE = ['domain', 'state-machines', 'ledger', 'control-plane', 'proxy'];

const NODE_MODULES = new Set(builtinModules);
const PRODUCT = Object.keys(MAY_IMPORT);
const product = sources(PRODUCT);
const everything = sources([...PRODUCT, 'examples', 'bench', 'test']);
const tests = everything.filter((source) => source.layer === 'test');

/** The folder of ours that an import leads to, or undefined for a package. */
function layerOf(source: Source, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return posix.join(posix.dirname(source.path), specifier).split('/')[0];
}

function violations(of: readonly Source[], find: (source: Source) => string[]): string[] {
  return of.flatMap(find);
}

describe('the architecture', () => {
  it('finds sources to judge', () => {
    expect(product.length).toBeGreaterThan(20);
    expect(tests.length).toBeGreaterThan(5);
  });

  it('has imports that go one way', () => {
    const wrong = violations(product, (source) =>
      importsOf(source).flatMap(({ specifier, line }) => {
        const layer = layerOf(source, specifier);
        if (layer === undefined || layer === source.layer || MAY_IMPORT[source.layer]?.includes(layer)) return [];
        return [`${source.path}:${line}: ${source.layer} may not import ${layer} (${specifier})`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('has nothing in the product that imports a test, a bench or an example', () => {
    const outside = ['test', 'bench', 'examples', 'dist'];
    const wrong = violations(product, (source) =>
      importsOf(source)
        .filter(({ specifier }) => outside.includes(layerOf(source, specifier) ?? ''))
        .map(({ specifier, line }) => `${source.path}:${line}: ${specifier}`),
    );
    expect(wrong).toEqual([]);
  });

  it.each(WITHOUT_NODE)('keeps Node out of %s', (layer) => {
    const own = product.filter((source) => source.layer === layer);
    const modules = violations(own, (source) =>
      importsOf(source)
        .filter(({ specifier }) => specifier.startsWith('node:') || NODE_MODULES.has(specifier.split('/')[0] ?? ''))
        .map(
          ({ specifier, line }) =>
            `${source.path}:${line}: ${layer} may not import ${specifier}; take it as a function`,
        ),
    );
    const globals = violations(own, (source) =>
      places(source, source.code, /(?<![.\w$])(?:process|Buffer|__dirname|require)(?=[.([])/g),
    );
    expect([...modules, ...globals]).toEqual([]);
  });

  it.each(PURE)('keeps clocks and randomness out of %s', (layer) => {
    const own = product.filter((source) => source.layer === layer);
    const sourcesOfChance =
      /\b(?:Date\.now|Math\.random|performance\.now|crypto\.(?:getRandomValues|randomUUID))\b|\bnew Date\(\s*\)|(?<![.\w$])(?:setTimeout|setInterval|setImmediate|fetch)\(/g;
    expect(violations(own, (source) => places(source, source.code, sourcesOfChance))).toEqual([]);
  });

  it('names every file for what it holds', () => {
    const vague = /(?:^|\/)(?:utils?|helpers?|common|misc|shared|index)\.ts$/;
    expect(everything.map((source) => source.path).filter((path) => vague.test(path))).toEqual([]);
  });

  // A test file says what it is for in the sentences of its tests.
  it('opens every source file with what it promises', () => {
    const silent = everything.filter(
      ({ layer, text }) => layer !== 'test' && !/^(?:#![^\n]*\n)?(?:\/\/ ?\S|\/\*)/.test(text),
    );
    expect(silent.map((source) => `${source.path}:1: opens without a comment`)).toEqual([]);
  });

  it('has no default exports', () => {
    const pattern = /\bexport\s+default\b|\bas\s+default\b/g;
    expect(violations(everything, (source) => places(source, source.code, pattern))).toEqual([]);
  });

  it('has no barrels', () => {
    const pattern = /\bexport\s+\*\s/g;
    expect(violations(everything, (source) => places(source, source.code, pattern))).toEqual([]);
  });

  it('keeps no state at module level', () => {
    const holders = product.filter((source) => source.layer !== 'cli');
    expect(violations(holders, (source) => places(source, source.code, /^(?:export )?(?:let|var) [^=;\n]*/gm))).toEqual(
      [],
    );
  });

  it('leaves no test out and none to be written later', () => {
    const pattern =
      /\b(?:it|test|describe|suite|proves)(?:\.\w+)*\.(?:only|todo)\b|\b(?:fit|xit|fdescribe|xdescribe)\(/g;
    expect(violations(tests, (source) => places(source, source.code, pattern))).toEqual([]);
  });
});

describe('the reading of sources', () => {
  it('tells code from comments, strings, templates and regular expressions', () => {
    const text = [
      "const a = 'let x // not a comment';",
      '// let b',
      'const c = /\\/\\/["\'`]/g; /* let d */ let e;',
      'const f = `let f \n let g`;',
    ].join('\n');
    const { code, uncommented } = blank(text);
    expect(code.match(/let \w/g)).toEqual(['let e']);
    expect(uncommented).toContain('not a comment');
    expect(uncommented).not.toContain('let b');
    expect(code.length).toBe(text.length);
  });

  it('sees every way of importing', () => {
    const text = [
      "import { a } from './a.ts';",
      "import type { b } from './b.ts';",
      "import './c.ts';",
      "export { d } from './d.ts';",
      "const e = await import('./e.ts');",
      "import {\n  f,\n} from './f.ts';",
      "// import './no.ts';",
      "type G = import('./g.ts').G;",
    ].join('\n');
    const found = importsOf({ path: 'x/y.ts', layer: 'x', text, ...blank(text) });
    expect(found.map(({ specifier, line }) => `${specifier}:${line}`)).toEqual([
      './a.ts:1',
      './b.ts:2',
      './c.ts:3',
      './d.ts:4',
      './e.ts:5',
      './f.ts:8',
      './g.ts:10',
    ]);
  });
});
