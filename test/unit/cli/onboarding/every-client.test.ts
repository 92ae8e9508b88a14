// Every known client of this platform at once: a server in each of their files, in their own spelling, goes through the gate and comes back byte for byte.

import { afterAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { pathOfPlace } from '../../../../adapters/clients/client-paths.ts';
import { KNOWN_CLIENTS, type KnownClient, type Place } from '../../../../adapters/clients/known-clients.ts';
import { type LineShape, SHAPES } from '../../../../adapters/clients/shapes.ts';
import { parseManifest } from '../../../../control-plane/policy/parse-manifest.ts';
import type { Json, JsonObject } from '../../../../domain/json.ts';
import { ClientHome } from '../../../support/client-home.ts';

const SECRET = 'not-to-be-seen';
const at = new ClientHome();
afterAll(() => at.close());

function entryOf(place: Place, client: KnownClient): JsonObject {
  const shape: LineShape = SHAPES[place.shape];
  const args = ['server.js', client.id];
  const line: JsonObject = {
    ...(shape.typeNeeded ? { type: shape.stdioType } : {}),
    ...(shape.commandHoldsArgs ? { [shape.command]: ['node', ...args] } : { [shape.command]: 'node', args }),
    [shape.env]: { K: SECRET },
  };
  const entry = shape.inside === undefined ? line : { [shape.inside]: line };
  return place.list === true ? { name: 'files', ...entry } : entry;
}

function textOf(place: Place, client: KnownClient): string {
  const entry = entryOf(place, client);
  const servers: Json = place.list === true ? [entry] : { files: entry };
  const document = place.at.reduceRight<Json>((inner, key) => ({ [key]: inner }), servers);
  if (place.format === 'yaml') return `# mine\n${stringify({ version: 1, ...(document as JsonObject) })}# last\n`;
  if (place.format === 'toml') {
    const { command, args, env } = entry as { command: string; args: string[]; env: { K: string } };
    return `# mine\n[${place.at.join('.')}.files]\ncommand = '${command}' # here\nargs = ${JSON.stringify(args)}\n[${place.at.join('.')}.files.env]\nK = "${env.K}"\n`;
  }
  const json = JSON.stringify(document, null, '\t');
  return place.format === 'json' ? json : `// mine\r\n${json.replaceAll('\n', '\r\n')}\r\n`;
}

it('the servers of all of them go through the gate and come back', async () => {
  const texts = new Map<string, string>();
  const clients = new Set<string>();
  for (const client of KNOWN_CLIENTS) {
    for (const place of client.places.filter(({ scope }) => scope === 'user')) {
      const path = pathOfPlace(place, at.machine, at.project);
      if (path === undefined || path.includes('*')) continue;
      const relative = path.slice(at.folder.length + 1);
      if (texts.has(relative)) continue;
      texts.set(relative, textOf(place, client));
      clients.add(client.id);
    }
  }
  expect(clients.size).toBeGreaterThan(15);
  for (const [path, text] of texts) at.write(path, text);

  const done = await at.init();
  expect(done.code, done.stdout + done.stderr).toBe(0);
  expect(done.stdout + done.stderr).not.toContain(SECRET);
  for (const [path, text] of texts) {
    expect(at.read(path), path).not.toBe(text);
    expect(at.read(path), path).toContain('"wrap"');
  }
  const parsed = parseManifest(at.read('config/portcullis.yaml'), 'portcullis.yaml');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  expect(new Set(Object.keys(parsed.manifest.agents))).toEqual(clients);
  expect((await at.init()).stdout).toContain('nothing is to do');

  expect(await at.restore({ all: true })).toMatchObject({ code: 0 });
  for (const [path, text] of texts) expect(at.read(path), path).toBe(text);
});
