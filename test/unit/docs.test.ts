// Documents that repeat what the code knows are held to it.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { EXIT } from '../../cli/exit-codes.ts';
import { DENIALS } from '../../domain/denial.ts';
import { quickStartText } from '../../packaging/generated.ts';
import { GUARANTEES, NOT_YET } from '../guarantees.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

describe('the documents', () => {
  it('list every denial as the table has it', () => {
    const rows = read('docs/denials.md')
      .split('\n')
      .filter((line) => /^\| \d/.test(line));
    const want = Object.entries(DENIALS).map(
      ([code, r]) =>
        `| ${r.number} | \`${code}\` | ${r.stage} | ${r.category} | ${r.told} | ${r.retry ? 'may help' : 'no'} |`,
    );
    expect(rows).toEqual(want);
  });

  it('say of every denial what happened and what to do, with the sentence that the client is told', () => {
    const rows = [
      ...read('docs/troubleshooting.md').matchAll(/^\| `([A-Z_]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm),
    ];
    const told = Object.fromEntries(rows.map(([, code = '', text]) => [code, text]));
    expect(told).toEqual(Object.fromEntries(Object.entries(DENIALS).map(([code, r]) => [code, r.told])));
    expect(rows).toHaveLength(Object.keys(DENIALS).length);
  });

  it.each(['docs/troubleshooting.md', 'docs/install.md', 'docs/serve.md', 'docs/quick-start.md'])(
    'name only commands and options that there are: %s',
    (file) => {
      const sections = new Map(
        read('docs/commands.md')
          .split('\n## ')
          .slice(1)
          .map((section): [string, string] => [section.slice(0, section.indexOf('\n')), section]),
      );
      const said = [...read(file).matchAll(/(?<=`|^ {4,8}|portcullis )portcullis ([a-z][^`\n#]*)/gm)].map(
        ([, words = '']) => words,
      );
      expect(said.length).toBeGreaterThan(3);
      const wrong = said.filter((words) => {
        const [first = '', second = ''] = words.split(' ');
        const alone = sections.get(first);
        const section =
          sections.get(`${first} ${second}`) ?? (alone?.includes(' COMMAND`') === true ? undefined : alone);
        const own = words.split(' -- ')[0] ?? '';
        return section === undefined || (own.match(/--[a-z-]+/g) ?? []).some((option) => !section.includes(option));
      });
      expect(wrong.filter((words) => !/--(?:version|help|json)/.test(words))).toEqual([]);
    },
  );

  it('have the quick start of each client as the data about the clients has it (npm run generate)', () => {
    const { file, text } = quickStartText();
    expect(read(file)).toBe(text);
  });

  it('list every exit code', () => {
    const listed = [...read('docs/cli.md').matchAll(/^\| (\d) \|/gm)].map((match) => Number(match[1]));
    expect(listed).toEqual(Object.values(EXIT).sort((a, b) => a - b));
  });

  it('name every promise that is in force in the README, and the file that keeps it', () => {
    const readme = read('README.md');
    for (const id of Object.keys(GUARANTEES)) {
      if (id in NOT_YET) continue;
      expect(readme, id).toContain(`| ${id} |`);
    }
  });

  it.each([
    'README.md',
    'docs/README.md',
    'docs/serve.md',
    'docs/architecture.md',
    'docs/cli.md',
    'docs/clients.md',
    'docs/commands.md',
    'docs/denials.md',
    'docs/install.md',
    'docs/onboarding.md',
    'docs/processes.md',
    'docs/quick-start.md',
    'docs/reliability.md',
    'docs/threat-catalogue.md',
    'docs/threat-model.md',
    'docs/troubleshooting.md',
    'CONTRIBUTING.md',
  ])('of %s point only to files that exist', (file) => {
    const links = [...read(file).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? '');
    expect(links.filter((link) => !existsSync(join(ROOT, dirname(file), link)))).toEqual([]);
  });
});
