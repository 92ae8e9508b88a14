// The files in test/golden/clients are what people have and what they get. A changed one asks "on purpose?"; UPDATE_GOLDEN=1 writes them anew.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse as secondTomlParser } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { type Machine, pathOfPlace } from '../../../../adapters/clients/client-paths.ts';
import { editText, parseText, textOf } from '../../../../adapters/clients/edit-text.ts';
import { readEntry, restoredEntry } from '../../../../adapters/clients/entry-shapes.ts';
import { type Disk, type FoundFile, foundFiles } from '../../../../adapters/clients/found-files.ts';
import { KNOWN_CLIENTS, type KnownClient, type Platform } from '../../../../adapters/clients/known-clients.ts';
import { withOwnSpelling } from '../../../../adapters/clients/own-spelling.ts';
import { type Edit, valueAt } from '../../../../adapters/clients/text-edit.ts';
import type { JsonObject } from '../../../../domain/json.ts';
import { wrappingEdits } from '../../../support/client-launch.ts';

const FOLDER = new URL('../../../golden/clients/', import.meta.url);
const golden = (name: string) => new URL(name, FOLDER);
const bytesOf = (name: string): Uint8Array => readFileSync(golden(name));

/** Compares with the golden file, or writes it when told to. */
function matches(name: string, text: string): void {
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden(name), text);
  expect(text).toBe(textOf(bytesOf(name)));
}

const MACHINES: Readonly<Record<Platform, Machine>> = {
  linux: { platform: 'linux', home: '/home/ada', env: {}, cwd: '/home/ada/work' },
  darwin: { platform: 'darwin', home: '/Users/ada', env: {}, cwd: '/Users/ada/work' },
  win32: {
    platform: 'win32',
    home: 'C:\\Users\\ada',
    env: { APPDATA: 'C:\\Users\\ada\\AppData\\Roaming', LOCALAPPDATA: 'C:\\Users\\ada\\AppData\\Local' },
    cwd: 'C:\\Users\\ada\\work',
  },
};

function diskWith(path: string, bytes: Uint8Array): Disk {
  return { read: (asked) => (asked === path ? { bytes, real: path } : undefined), list: () => [], exists: () => false };
}

/** Every path of every client on every platform, one a line. */
function pathList(): string {
  const lines = KNOWN_CLIENTS.flatMap(({ id, places }) =>
    places.flatMap((place) =>
      Object.values(MACHINES).flatMap((machine) => {
        const path = pathOfPlace(place, machine, machine.cwd);
        return path === undefined ? [] : [`${id} ${place.scope} ${machine.platform} ${path}`];
      }),
    ),
  );
  return `${lines.join('\n')}\n`;
}

function foundOn(client: KnownClient, machine: Machine, bytes: Uint8Array): FoundFile {
  const path =
    client.places.map((place) => pathOfPlace(place, machine, machine.cwd)).find((one) => one !== undefined) ?? '';
  const { files, unread } = foundFiles(machine, diskWith(path, bytes));
  expect(unread).toEqual([]);
  expect(files.map((file) => file.client.id)).toEqual([client.id]);
  return files[0]!;
}

describe('the files of the known clients', () => {
  it('lie where they are looked for on each platform', () => {
    matches('paths.txt', pathList());
  });

  it('give each client an id that is its own and fits a manifest', () => {
    const ids = KNOWN_CLIENTS.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => !/^[a-z][a-z0-9-]*$/.test(id))).toEqual([]);
  });

  describe.each(KNOWN_CLIENTS.map((client) => [client.id, client] as const))('of %s', (id, client) => {
    const bytes = bytesOf(`${id}.before.txt`);

    it.each(Object.values(MACHINES))('are found and read alike on $platform', (machine) => {
      const { servers, problems } = foundOn(client, machine, bytes);
      expect(problems).toEqual([]);
      const lines = servers.map(({ name, path, entry }) => {
        const said =
          entry.kind === 'other' ? `${entry.reason}: ${entry.why}` : entry.kind === 'remote' ? entry.transport : '';
        return `${path.slice(0, -1).join(' ')} | ${name} | ${entry.kind} ${said}`.trimEnd();
      });
      matches(`${id}.servers.txt`, `${lines.join('\n')}\n`);
    });

    it('are wrapped in place, each other byte kept, and recognised as wrapped', () => {
      const found = foundOn(client, MACHINES.linux, bytes);
      const edited = editText(found.format, found.text, wrappingEdits(id, found.servers));
      expect(edited.ok && 'edited').toBe('edited');
      if (!edited.ok) return;
      matches(`${id}.after.txt`, edited.text);
      const again = foundOn(client, MACHINES.linux, Buffer.from(edited.text));
      expect(wrappingEdits(id, again.servers)).toEqual([]);
      const kinds = found.servers.map(({ entry }) => (entry.kind === 'other' ? 'other' : 'wrapped'));
      expect(again.servers.map(({ entry }) => entry.kind)).toEqual(kinds);
      const read = parseText(found.format, edited.text);
      if (found.format === 'toml' && read.ok) {
        expect(JSON.parse(JSON.stringify(secondTomlParser(edited.text.replace(/^since.*$/m, ''))))).toEqual(
          withoutDate(read.value as JsonObject),
        );
      }
    });

    it('say the same as before once they are unwrapped', () => {
      const found = foundOn(client, MACHINES.linux, bytes);
      const edited = editText(found.format, found.text, wrappingEdits(id, found.servers));
      if (!edited.ok) throw new Error(edited.problem.reason);
      const wrapped = parseText(found.format, edited.text);
      if (!wrapped.ok) throw new Error(wrapped.problem.reason);
      const edits = found.servers.flatMap(({ path, raw }): Edit[] => {
        const now = valueAt(wrapped.value, path) as JsonObject;
        const back = restoredEntry(raw as JsonObject, now, now);
        expect(back.conflicts).toEqual([]);
        return back.edits.map((edit) => ({ ...edit, path: [...path, ...edit.path] }));
      });
      const restored = editText(found.format, edited.text, edits);
      expect(restored.ok && parseText(found.format, restored.text)).toEqual(parseText(found.format, found.text));
      matches(`${id}.unwrapped.txt`, restored.ok ? restored.text : '');
      if (!restored.ok) return;

      // Something came to the file since, in front of the entries: they get their own words back all the same.
      const came = found.format === 'json' ? ' \n' : found.format === 'jsonc' ? '// came since\n' : '# came since\n';
      const later = (text: string) => (text.startsWith('\uFEFF') ? `\uFEFF${came}${text.slice(1)}` : came + text);
      const texts = {
        before: found.text,
        wrapped: edited.text,
        now: later(edited.text),
        restored: later(restored.text),
      };
      const moved = found.servers.map(({ path }) => ({ before: path, now: path }));
      expect(withOwnSpelling(found.format, texts, moved)).toBe(later(found.text));
    });
  });

  it('are read by one codec for each way of writing', () => {
    expect(fileURLToPath(FOLDER)).toContain('golden');
    expect(readEntry('standard', { command: 'x' })).toMatchObject({ kind: 'stdio', command: 'x', args: [] });
  });
});

function withoutDate(value: JsonObject): unknown {
  const copy = JSON.parse(JSON.stringify(value)) as { projects?: Record<string, { since?: string }> };
  for (const project of Object.values(copy.projects ?? {})) delete project.since;
  return copy;
}
