// The bundle for Claude Desktop (.mcpb): a zip with manifest.json and the installed package, which serves the servers of one portcullis.yaml. The
// manifest is of version 0.3, published at https://github.com/modelcontextprotocol/mcpb.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '../domain/json.ts';
import { installInto } from './installed.ts';
import { zipOf } from './zip.ts';

export const BUNDLED_PROGRAM = 'server/bin/portcullis.js';

export interface PackageWords {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly engines: { readonly node: string };
}

export function packageWords(root: string): PackageWords {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as PackageWords;
}

/** What the client reads of the bundle. */
export function mcpbManifest({ name, version, description, license, engines }: PackageWords): JsonObject {
  return {
    manifest_version: '0.3',
    name,
    display_name: 'Portcullis',
    version,
    description,
    long_description:
      'Serves the MCP servers of one portcullis.yaml behind the gate: every call is decided by your rules, permitted by a signed permit and written to a ledger before the tool hears of it. It brings no servers of its own. Write the file with `portcullis init` or `portcullis policy init`, and approve its servers with `portcullis tools approve`.',
    author: { name: 'The Portcullis authors' },
    license,
    keywords: ['security', 'governance', 'audit', 'policy', 'proxy'],
    server: {
      type: 'node',
      entry_point: BUNDLED_PROGRAM,
      mcp_config: {
        command: 'node',
        args: [
          `\${__dirname}/${BUNDLED_PROGRAM}`,
          'serve',
          '--stdio',
          '--name',
          'claude-desktop',
          '--config',
          '${user_config.configuration}',
          '--agent',
          '${user_config.agent}',
        ],
      },
    },
    // Which tools there are, the servers of the configuration say.
    tools_generated: true,
    prompts_generated: true,
    user_config: {
      configuration: {
        type: 'file',
        title: 'Configuration',
        description: 'The portcullis.yaml with the servers that this client is to use.',
        required: true,
      },
      agent: {
        type: 'string',
        title: 'Agent',
        description: 'The name of this client under "agents" in that file; there it says "auth: local".',
        default: 'claude-desktop',
        required: true,
      },
    },
    compatibility: { platforms: ['darwin', 'win32', 'linux'], runtimes: { node: engines.node } },
  };
}

/** Types, maps and what npm keeps for itself are of no use to a program that runs. */
export function isBundled(path: string): boolean {
  return !/(?:\.d\.[cm]?ts|\.map|\.tsbuildinfo)$|(?:^|\/)(?:\.bin|\.package-lock\.json)(?:\/|$)/.test(path);
}

/** The bundle of a packed package. Asks the registry of npm for what is not in its cache. */
export function mcpbBundle(root: string, tarball: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-mcpb-'));
  try {
    installInto(root, tarball, join(folder, 'server'));
    writeFileSync(join(folder, 'manifest.json'), `${JSON.stringify(mcpbManifest(packageWords(root)), undefined, 2)}\n`);
    return zipOf(folder, isBundled);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
