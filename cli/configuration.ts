// The user's configuration as files: finds them, reads them, and says where something is wrong. What the texts mean is the control plane's.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { Manifest } from '../control-plane/policy/manifest.ts';
import { parseManifest } from '../control-plane/policy/parse-manifest.ts';
import { type Problem, problemText, type SourceText } from '../control-plane/policy/source.ts';
import { EXIT } from './exit-codes.ts';
import { type Home, MANIFEST_NAME } from './home.ts';
import { CommandError } from './output.ts';

const FILE_BYTES_MAX = 1024 * 1024;

/** For whoever has no manifest yet. */
export const STARTER_HINTS: readonly string[] = [
  'to put the servers of your clients behind the gate: portcullis init',
  'to write a starter for one server: portcullis policy init -- COMMAND ARGS...',
];

export interface Configuration {
  readonly file: string;
  readonly source: SourceText;
  readonly manifest: Manifest;
  readonly policies: readonly SourceText[];
}

/** The manifest to use: the one named, or the one in the configuration folder when it is there. */
export function configurationFile(home: Home, named: string | undefined): string | undefined {
  if (named !== undefined) return resolve(named);
  const usual = join(home.config, MANIFEST_NAME);
  return existsSync(usual) ? usual : undefined;
}

/** Reads manifest and rules. Throws a CommandError that names every problem with its place. */
export function readConfiguration(file: string): Configuration {
  const text = readText(file);
  const parsed = parseManifest(text, file);
  if (!parsed.ok) throw invalid(file, parsed.problems);
  const { manifest } = parsed;
  return { file, source: { file, text }, manifest, policies: readPolicies(file, manifest.policies) };
}

/** Whether the files still say what was read from them. */
export function isStill({ file, source, manifest, policies }: Configuration): boolean {
  try {
    return readText(file) === source.text && isSame(readPolicies(file, manifest.policies), policies);
  } catch {
    return false;
  }
}

function isSame(these: readonly SourceText[], those: readonly SourceText[]): boolean {
  return (
    these.length === those.length &&
    these.every(({ file, text }, at) => file === those[at]?.file && text === those[at].text)
  );
}

export function invalid(file: string, problems: readonly Problem[]): CommandError {
  const list = problems.map(problemText).join('\n  ');
  return new CommandError(`the configuration is not valid:\n  ${list}`, EXIT.error, [
    `mend ${file} and run: portcullis policy check`,
  ]);
}

function readText(file: string): string {
  try {
    if (statSync(file).size > FILE_BYTES_MAX) throw new CommandError(`${file} is larger than ${FILE_BYTES_MAX} bytes`);
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'there is no such file' : code === undefined ? 'it is not UTF-8 text' : code;
    throw new CommandError(`cannot read ${file}: ${why}`, EXIT.error, [...STARTER_HINTS]);
  }
}

/** The files that the patterns name, relative to the manifest. `*` stands for part of one name, in the last part only. */
function readPolicies(manifestFile: string, patterns: readonly string[]): SourceText[] {
  const base = dirname(manifestFile);
  const files = new Set<string>();
  for (const pattern of patterns) {
    const folder = resolve(base, dirname(pattern));
    const name = basename(pattern);
    if (!name.includes('*')) {
      files.add(join(folder, name));
      continue;
    }
    const matches = new RegExp(`^${name.split('*').map(escapeRegExp).join('.*')}$`);
    const names = existsSync(folder) ? readdirSync(folder).filter((n) => matches.test(n)) : [];
    for (const match of names.sort()) files.add(join(folder, match));
  }
  return [...files].map((file) => ({ file: relative(base, file) || file, text: readText(file) }));
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
