// Rules that are written when a server is approved: only what was chosen, and what is there stays.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readConfiguration } from '../../../cli/configuration.ts';
import { allowTools, chosenTools, isSpokenOf } from '../../../cli/starter-rules.ts';
import type { ServerDefinition } from '../../../control-plane/integrity/definition.ts';

const tool = (name: string, annotations = {}) => ({ name, inputSchema: { type: 'object' }, annotations });
const DEFINITION: ServerDefinition = {
  launch: {},
  instructions: null,
  tools: [
    tool('read', { readOnlyHint: true }),
    tool('write'),
    tool('odd', { readOnlyHint: true, destructiveHint: true }),
  ],
  prompts: [],
  resourceTemplates: [],
};

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
  const server = 'stdio: { command: files }';
  const agents = 'agents: { cursor: { roles: [developer], auth: local } }';
  writeFileSync(
    join(folder, 'portcullis.yaml'),
    `apiVersion: portcullis/v1\n${agents}\nservers: { files: { ${server} } }\n`,
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const configuration = () => readConfiguration(join(folder, 'portcullis.yaml'));
const rules = (): string => readFileSync(join(folder, 'policy/files.cedar'), 'utf8');
const active = (): string[] => rules().match(/^permit .*$/gm) ?? [];

it('a tool that the server does not have is refused, and what changes something is not what only reads', () => {
  expect(() => chosenTools('files', DEFINITION, { allow: 'read,wriet' })).toThrow('files has no tool "wriet"');
  expect(chosenTools('files', DEFINITION, { allowReadOnly: true })).toEqual(['read']);
  expect(chosenTools('files', DEFINITION, { allow: 'write', allowReadOnly: true })).toEqual(['write', 'read']);
});

it('writes a file in which only what was chosen is allowed, for the role that clients have', () => {
  expect(isSpokenOf(configuration(), 'files')).toBe(false);
  expect(allowTools(configuration(), 'files', DEFINITION, ['read'])).toMatchObject({ allowed: ['read'], isRead: true });
  expect(active()).toEqual([
    'permit (principal in Portcullis::Role::"developer", action == Portcullis::Action::"files/read", resource == Portcullis::Server::"files");',
  ]);
  expect(isSpokenOf(configuration(), 'files')).toBe(true);
});

it('extends a file that is there, without a rule twice or an id twice', () => {
  allowTools(configuration(), 'files', DEFINITION, ['read']);
  const before = `// mine\n@id("files-write")\nforbid (principal, action, resource);\n\n${rules()}`;
  writeFileSync(join(folder, 'policy/files.cedar'), before);
  expect(allowTools(configuration(), 'files', DEFINITION, ['read', 'write'])).toMatchObject({ allowed: ['write'] });
  expect(rules().startsWith(before.trimEnd())).toBe(true);
  expect(rules()).toContain('@id("files-write-2")');
  expect(active()).toHaveLength(2);
  const after = rules();
  expect(allowTools(configuration(), 'files', DEFINITION, ['read', 'write'])).toBeUndefined();
  expect(rules()).toBe(after);
});
