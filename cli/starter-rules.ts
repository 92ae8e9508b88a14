// Rules for a server that was just approved: the tools that a person named, or those of which the server says that they only read. Written beside the
// manifest; what is there stays, and nothing is allowed that was not chosen.

import { dirname, join } from 'node:path';
import { replaceFile, seeFile, temporaryBeside } from '../adapters/clients/safe-file.ts';
import { randomBytes } from '../adapters/crypto/node-crypto.ts';
import type { ServerDefinition } from '../control-plane/integrity/definition.ts';
import type { Manifest } from '../control-plane/policy/manifest.ts';
import type { ToolDefinition } from '../control-plane/policy/source.ts';
import { starterPolicy } from '../control-plane/policy/starter.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import { visibleText } from '../domain/visible-text.ts';
import { type Configuration, readConfiguration } from './configuration.ts';
import { EXIT } from './exit-codes.ts';
import { CommandError } from './output.ts';
import { policyTool } from './tool-definitions.ts';

export interface Allowing {
  /** Names of tools, separated by commas. */
  readonly allow?: string;
  readonly allowReadOnly?: boolean;
}

/** The names of the tools that are to be allowed. Throws a CommandError for one that the server does not have. */
export function chosenTools(server: string, { tools }: ServerDefinition, { allow, allowReadOnly }: Allowing): string[] {
  const names = tools.map(nameOf);
  const named = (allow ?? '')
    .split(',')
    .map((tool) => tool.trim())
    .filter((tool) => tool !== '');
  const unknown = named.filter((tool) => !names.includes(tool));
  if (unknown.length > 0) {
    const list = unknown.map((tool) => `"${visibleText(tool, 80)}"`).join(', ');
    throw new CommandError(`${server} has no tool ${list}`, EXIT.usage, [
      `its tools: ${names.map((name) => visibleText(name, 80)).join(', ')}`,
    ]);
  }
  return [...new Set([...named, ...(allowReadOnly === true ? tools.filter(saysReadOnly).map(nameOf) : [])])];
}

function nameOf({ name }: JsonObject): string {
  return typeof name === 'string' ? name : '';
}

function saysReadOnly({ annotations }: JsonObject): boolean {
  return isJsonObject(annotations) && annotations.readOnlyHint === true && annotations.destructiveHint !== true;
}

/** Whether any rule is about the server. */
export function isSpokenOf({ policies }: Configuration, server: string): boolean {
  return policies.some(({ text }) => {
    const active = withoutComments(text);
    return [`"${server}"`, `"${server}/`, `"${server}:`].some((name) => active.includes(name));
  });
}

function withoutComments(text: string): string {
  return text.replace(/^\s*\/\/.*$/gm, '');
}

export interface WrittenRules {
  readonly file: string;
  /** Tools that are allowed from now on. */
  readonly allowed: readonly string[];
  /** The manifest does not name the file: nothing reads it. */
  readonly isRead: boolean;
}

/** Undefined where every one of the tools has a rule already. */
export function allowTools(
  configuration: Configuration,
  server: string,
  definition: ServerDefinition,
  names: readonly string[],
): WrittenRules | undefined {
  const { manifest, policies } = configuration;
  const active = withoutComments(policies.map(({ text }) => text).join('\n'));
  const allowed = names.filter((tool) => !active.includes(JSON.stringify(`${server}/${tool}`)));
  if (allowed.length === 0) return undefined;
  const file = join(dirname(configuration.file), 'policy', `${server}.cedar`);
  const before = seeFile(file);
  const there = before === undefined ? undefined : Buffer.from(before.bytes).toString('utf8');
  const text = rulesFor(manifest, server, definition, allowed, there, active);
  replaceFile({
    file,
    before,
    after: Buffer.from(text),
    temporary: temporaryBeside(before?.real ?? file, Buffer.from(randomBytes(8)).toString('hex')),
    broken: () => undefined,
    keep: () => undefined,
  });
  const read = readConfiguration(configuration.file).policies.some((policy) => policy.text === text);
  return { file, allowed, isRead: read };
}

function rulesFor(
  manifest: Manifest,
  server: string,
  { tools }: ServerDefinition,
  allow: readonly string[],
  there: string | undefined,
  active: string,
): string {
  const { namespace, agents, servers } = manifest;
  const role = Object.values(agents).find(({ auth, roles }) => auth === 'local' && roles.length > 0)?.roles[0];
  const { command = '', args = [] } = servers[server]?.stdio ?? {};
  const listed = tools.map((raw): ToolDefinition => policyTool({ name: nameOf(raw), raw }));
  const starter = starterPolicy({
    server,
    command,
    args,
    tools: there === undefined ? listed : listed.filter(({ name }) => allow.includes(name)),
    allow,
    namespace,
    ...(role === undefined ? {} : { role }),
  });
  // Rules are told apart by their ids, over all files.
  const fresh = starter.policy.text.replace(/^@id\("([^"]*)"\)/gm, (line, id: string) => {
    for (let number = 2, wanted = id; ; number++) {
      if (!active.includes(`@id("${wanted}")`)) return wanted === id ? line : `@id("${wanted}")`;
      wanted = `${id}-${number}`;
    }
  });
  if (there === undefined) return fresh;
  const rules = fresh.split('\n\n').filter((block) => /^permit \(/m.test(block));
  return `${there.trimEnd()}\n\n${rules.map((rule) => rule.trimEnd()).join('\n\n')}\n`;
}
