// The page about the clients repeats the data; this holds it to them. UPDATE_GOLDEN=1 writes its tables anew.

import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { KNOWN_CLIENTS, type Place } from '../../adapters/clients/known-clients.ts';
import { pathText, platformsText, usualFolder } from '../../packaging/place-text.ts';

const PAGE = new URL('../../docs/clients.md', import.meta.url);
const FORMATS = { json: 'JSON', jsonc: 'JSON with comments', toml: 'TOML', yaml: 'YAML' } as const;

function fileOf(place: Place): string {
  const usual = usualFolder(place);
  return `\`${pathText(place)}\`${usual === undefined ? '' : `, usually in \`${usual}\``}${platformsText(place)}`;
}

function placeRows(): string[] {
  return KNOWN_CLIENTS.flatMap(({ id, title, places }) =>
    places.map((place, index) => {
      const client = index === 0 ? `${title} \`${id}\`` : '';
      const at = place.at.join('.').replaceAll('*', 'FOLDER');
      const shared = place.shared ? ', shared' : '';
      const own =
        place.privateOverride === undefined ? '' : `; an entry of the ${place.privateOverride} scope shadows it`;
      return `| ${client} | ${place.scope}${shared}${own} | ${fileOf(place)} | ${FORMATS[place.format]} | \`${at}\` |`;
    }),
  );
}

function clientRows(): string[] {
  return KNOWN_CLIENTS.map(
    ({ title, ungoverned, reload, source, checked }) =>
      `| ${title} | ${ungoverned.join('; ')} | ${reload} | ${source} (${checked}) |`,
  );
}

/** The rows below a table's head, the head and the line below it kept. */
function withRows(text: string, head: string, rows: readonly string[]): string {
  const lines = text.split('\n');
  const start = lines.indexOf(head) + 2;
  expect(start, head).toBeGreaterThan(1);
  const end = lines.findIndex((line, index) => index >= start && !line.startsWith('|'));
  return [...lines.slice(0, start), ...rows, ...lines.slice(end)].join('\n');
}

it('the page about clients lists every client, place and limit as the data has them', () => {
  const text = readFileSync(PAGE, 'utf8');
  const placed = withRows(text, '| Client | Scope | File | Format | Servers in |', placeRows());
  const whole = withRows(
    placed,
    '| Client | Never governed | So that a change takes effect | Read from |',
    clientRows(),
  );
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(PAGE, whole);
  expect(whole).toBe(readFileSync(PAGE, 'utf8'));
});
