// docs/threat-model.md as data: its rows by their keys, the ids that they answer, the tests that it names for them. And the table by ids that
// follows from it.

import { type NamedTest, rowsOf, testsNamedIn } from './documents.ts';

export interface ThreatRow {
  readonly key: string;
  /** Of public catalogues. */
  readonly ids: readonly string[];
  readonly answer: string;
  readonly promises: readonly string[];
  readonly tests: readonly NamedTest[];
}

export interface CatalogueRow {
  readonly catalogue: string;
  readonly id: string;
  readonly name: string;
}

export const ANSWERS = ['enforce', 'partial', 'record', 'out', 'out, later'];

export function threatRows(markdown: string): readonly ThreatRow[] {
  const rows = rowsOf(markdown);
  const tests = new Map(rows.filter((cells) => cells.length === 2).map(([key = '', cell = '']) => [key, cell]));
  return rows.flatMap(([first = '', threat = '', answer = '', promise = '', ...rest]) => {
    const key = /<\/a>([A-Z]\d+)$/.exec(first)?.[1];
    if (key === undefined || rest.length !== 1) return [];
    const named = /\[([^\]]+)\]$/.exec(threat)?.[1] ?? '';
    return [
      {
        key,
        ids: named === 'not in a catalogue' ? [] : named.split(', '),
        answer,
        promises: promise === '' ? [] : promise.split(', '),
        tests: testsNamedIn(tests.get(key) ?? ''),
      },
    ];
  });
}

/** The lines of the public catalogues: five columns, of which some are quoted. */
export function catalogueRows(csv: string): readonly CatalogueRow[] {
  return csv
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => {
      const cells = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) =>
        (quoted ?? plain ?? '').replaceAll('""', '"').trim(),
      );
      const [catalogue = '', , id = '', name = ''] = cells;
      return { catalogue, id, name };
    });
}

/** What several rows say together of one id. */
export function answerOf(rows: readonly ThreatRow[]): string {
  const [first, ...others] = new Set(rows.map(({ answer }) => answer.replace(', later', '')));
  return first === undefined || others.length > 0 ? 'partial' : first;
}

/** docs/threat-catalogue.md, whole. */
export function renderCatalogue(catalogue: readonly CatalogueRow[], threats: readonly ThreatRow[]): string {
  const lines = catalogue.map(({ catalogue: from, id, name }) => {
    const rows = threats.filter(({ ids }) => ids.includes(id));
    const where = rows.map(({ key }) => `[${key}](threat-model.md#${key.toLowerCase()})`).join(' ');
    const promises = [...new Set(rows.flatMap((row) => row.promises))].join(', ');
    const tests = [...new Set(rows.flatMap((row) => row.tests.map(({ file }) => file)))];
    const shown = tests.map((file) => `[${file.slice('test/'.length, -'.test.ts'.length)}](../${file})`).join(' ');
    return `| ${from} | ${id} | ${name} | ${answerOf(rows)} |${promises === '' ? '' : ` ${promises}`} | ${where} |${shown === '' ? '' : ` ${shown}`} |`;
  });
  return `${HEAD}\n${lines.join('\n')}\n`;
}

const HEAD = `# Threats by the ids of public catalogues

Made from [threat-model.md](threat-model.md) by \`npx vitest run test/unit/threats.test.ts -u\`; what stands and what does not is said there, in the row
that is named here. **enforce**: refused before it takes effect. **partial**: some forms of it. **record**: it can pass, and is in the ledger.
**out**: not addressed. An answer is about what passes through a gate, and says nothing about what goes past it.

| Catalogue | Id | Name | Answer | Promise | Row | Tests |
|---|---|---|---|---|---|---|`;
