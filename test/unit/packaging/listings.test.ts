// What others read of the package before it runs: server.json for the MCP registry, and the manifest of the bundle. The rules are a short copy of the
// published ones: the schema of 2025-12-11 of the registry, and version 0.3 of the bundle's manifest.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { JsonObject } from '../../../domain/json.ts';
import { isBundled, mcpbManifest, packageWords } from '../../../packaging/mcpb.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const read = (file: string): JsonObject => JSON.parse(readFileSync(`${ROOT}${file}`, 'utf8')) as JsonObject;
const own = read('package.json');
const commands = readFileSync(`${ROOT}docs/commands.md`, 'utf8');

const exactVersion = z.string().regex(/^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/);
const input = {
  description: z.string().optional(),
  format: z.enum(['string', 'number', 'boolean', 'filepath']).optional(),
  isRequired: z.boolean().optional(),
  value: z.string().optional(),
};
const SERVER_JSON = z.strictObject({
  $schema: z.literal('https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json'),
  name: z
    .string()
    .max(200)
    .regex(/^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/),
  title: z.string().min(1).max(100),
  description: z.string().min(1).max(100),
  version: exactVersion,
  packages: z
    .array(
      z.strictObject({
        registryType: z.literal('npm'),
        registryBaseUrl: z.literal('https://registry.npmjs.org'),
        identifier: z.string(),
        version: exactVersion,
        runtimeHint: z.literal('npx'),
        transport: z.strictObject({ type: z.literal('stdio') }),
        packageArguments: z.array(
          z.union([
            z.strictObject({ ...input, type: z.literal('positional'), value: z.string() }),
            z.strictObject({ ...input, type: z.literal('named'), name: z.string() }),
          ]),
        ),
        environmentVariables: z.array(z.strictObject({ ...input, name: z.string() })),
      }),
    )
    .length(1),
});

const MCPB = z.strictObject({
  manifest_version: z.literal('0.3'),
  name: z.string(),
  display_name: z.string(),
  version: exactVersion,
  description: z.string(),
  long_description: z.string(),
  author: z.strictObject({ name: z.string() }),
  license: z.string(),
  keywords: z.array(z.string()),
  server: z.strictObject({
    type: z.literal('node'),
    entry_point: z.string(),
    mcp_config: z.strictObject({ command: z.string(), args: z.array(z.string()) }),
  }),
  tools_generated: z.boolean(),
  prompts_generated: z.boolean(),
  user_config: z.record(
    z.string(),
    z.strictObject({
      type: z.enum(['string', 'number', 'boolean', 'directory', 'file']),
      title: z.string(),
      description: z.string(),
      required: z.boolean(),
      default: z.string().optional(),
    }),
  ),
  compatibility: z.strictObject({
    platforms: z.array(z.enum(['darwin', 'win32', 'linux'])),
    runtimes: z.strictObject({ node: z.string() }),
  }),
});

/** The options of `serve`, as the reference has them. */
function knowsOption(name: string): boolean {
  const section = commands.split('## serve\n')[1]?.split('\n## ')[0] ?? '';
  return section.includes(`\`${name}\``) || section.includes(`\`${name} `);
}

describe('server.json', () => {
  const listing = read('server.json');

  it('is as the registry wants it', () => {
    expect(SERVER_JSON.safeParse(listing).error?.issues).toBeUndefined();
  });

  it.each<[string, JsonObject]>([
    ['a name without a namespace', { name: 'portcullis' }],
    ['a description that is too long', { description: 'x'.repeat(101) }],
    ['a range for a version', { version: '^1.0.0' }],
    ['a key that nobody knows', { tools: [] }],
  ])('would not be with %s', (_, wrong) => {
    expect(SERVER_JSON.safeParse({ ...listing, ...wrong }).success).toBe(false);
  });

  it('is of this package, of this version, under the name that the package confirms', () => {
    const { name, version, packages } = SERVER_JSON.parse(listing);
    expect({ name, version }).toEqual({ name: own.mcpName, version: own.version });
    expect(packages[0]).toMatchObject({ identifier: own.name, version: own.version });
  });

  it('starts what there is', () => {
    const { packages } = SERVER_JSON.parse(listing);
    const args = packages.flatMap(({ packageArguments }) => packageArguments);
    expect(args[0]).toEqual({ type: 'positional', value: 'serve' });
    expect(args.flatMap((one) => (one.type === 'named' && !knowsOption(one.name) ? [one.name] : []))).toEqual([]);
  });
});

describe('the manifest of the bundle', () => {
  const manifest = mcpbManifest(packageWords(ROOT));

  it('is as its specification wants it', () => {
    expect(MCPB.safeParse(manifest).error?.issues).toBeUndefined();
  });

  it('names only what its user is asked for, and options that there are', () => {
    const { server, user_config } = MCPB.parse(manifest);
    const { args } = server.mcp_config;
    const asked = args.flatMap((one) => /^\$\{user_config\.(\w+)\}$/.exec(one)?.[1] ?? []);
    expect(asked.sort()).toEqual(Object.keys(user_config).sort());
    expect(args[0]).toBe(`\${__dirname}/${server.entry_point}`);
    expect(args.filter((one) => one.startsWith('--') && !knowsOption(one))).toEqual([]);
  });

  it.each([
    ['server/node_modules/zod/index.d.cts', false],
    ['server/node_modules/x/y.js.map', false],
    ['server/node_modules/.bin/portcullis', false],
    ['server/node_modules/.package-lock.json', false],
    ['server/node_modules/x/LICENSE', true],
    ['server/dist/cli/main.js', true],
    ['manifest.json', true],
  ])('%s is in the bundle: %s', (path, wanted) => {
    expect(isBundled(path)).toBe(wanted);
  });
});
