// portcullis policy init: from a server's real tools to a commented starter. Nothing is allowed that was not chosen.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import type { Manifest } from '../../control-plane/policy/manifest.ts';
import { parseManifest } from '../../control-plane/policy/parse-manifest.ts';
import { starterPolicy } from '../../control-plane/policy/starter.ts';
import { visibleText } from '../../domain/visible-text.ts';
import { mayAsk } from '../asking.ts';
import { type Configuration, invalid, readConfiguration } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { findHome, MANIFEST_NAME } from '../home.ts';
import { editorHint } from '../onboarding/manifest-text.ts';
import { schemaAddress } from '../onboarding/own-program.ts';
import { CommandError, type Output } from '../output.ts';
import { type CommandLine, launchOf, unlistedServer } from '../servers.ts';
import { readTools } from '../tool-definitions.ts';
import { serverName } from '../wrapped-server.ts';
import { toolsApprove } from './tools.ts';

export interface PolicyInitOptions {
  readonly config?: string;
  readonly name?: string;
  readonly allow?: string;
  readonly workspace?: string;
  /** The folder that the server is started in from now on; ours where it is not said. */
  readonly cwd?: string;
  readonly force?: boolean;
}

export async function policyInit(options: PolicyInitOptions, line: CommandLine, out: Output): Promise<number> {
  const home = findHome();
  const file = options.config === undefined ? join(home.config, MANIFEST_NAME) : resolve(options.config);
  const name = serverName(options.name, line, undefined);
  const policyFile = join(dirname(file), 'policy', `${name}.cedar`);
  const replace = options.force === true;
  const existing = existsSync(file) && !replace ? readConfiguration(file) : undefined;
  if (existing !== undefined && Object.hasOwn(existing.manifest.servers, name)) {
    throw new CommandError(`${file} lists the server ${name} already and was left as it is`, EXIT.error, [
      'choose another --name, another place with --config FILE, or begin anew with --force',
    ]);
  }
  if (existsSync(policyFile) && !replace) {
    throw new CommandError(`${policyFile} is there already and was left as it is`, EXIT.error, [
      'choose another --name, or replace it with --force',
    ]);
  }
  const cwd = resolve(options.cwd ?? '.');
  const [read] = await readTools([await launchOf(name, unlistedServer(line), '.', cwd)], home, existing, out);
  const tools = read?.tools ?? [];
  const allow =
    options.allow
      ?.split(',')
      .map((tool) => tool.trim())
      .filter((tool) => tool !== '') ?? [];
  const unknown = allow.filter((tool) => !tools.some((one) => one.name === tool));
  if (unknown.length > 0) {
    const names = tools.map((tool) => visibleText(tool.name, 80)).join(', ');
    throw new CommandError(
      `${name} has no tool ${unknown.map((tool) => `"${visibleText(tool)}"`).join(', ')}`,
      EXIT.usage,
      [`its tools: ${names}`],
    );
  }
  const workspace = options.workspace === undefined ? folderArgument(line) : resolve(options.workspace);
  const starter = starterPolicy({
    server: name,
    ...line,
    cwd,
    tools,
    allow,
    ...(workspace === undefined ? {} : { workspace }),
    ...(existing === undefined ? {} : surroundings(existing.manifest)),
  });
  const manifestText =
    existing === undefined
      ? editorHint(schemaAddress()) + starter.manifest.text
      : withServer(existing, name, starter.manifest.text);
  mkdirSync(dirname(policyFile), { recursive: true, mode: 0o700 });
  writeFileSync(file, manifestText, { mode: 0o600 });
  writeFileSync(policyFile, starter.policy.text, { mode: 0o600 });
  out.answer({
    manifest: file,
    policy: policyFile,
    server: name,
    tools: tools.map((tool) => tool.name),
    allowed: allow,
  });
  out.line(existing === undefined ? `wrote ${file}` : `added ${name} to ${file}`);
  out.line(
    `wrote ${policyFile}: ${tools.length} tools listed, ${allow.length === 0 ? 'none allowed yet' : `${allow.length} allowed`}`,
  );
  out.line('');
  if (mayAsk(out)) await toolsApprove([name], { config: file }, out);
  out.line(
    allow.length === 0
      ? `next: open ${policyFile} and take the comment signs away from what you want to allow`
      : 'next:',
  );
  const named = options.config === undefined ? '' : ` --config ${file}`;
  if (!mayAsk(out)) out.line(`  portcullis tools approve ${name}${named}`);
  out.line(`  portcullis policy check${named}`);
  out.line(`  portcullis wrap --name ${name} -- ${[line.command, ...line.args].join(' ')}`);
  return EXIT.ok;
}

/** Namespace and role of the manifest that a server is added to, so that its rules speak of the same people. */
function surroundings({ namespace, agents }: Manifest): { namespace: string; role?: string } {
  const role = Object.values(agents).find(({ auth, roles }) => auth === 'local' && roles.length > 0)?.roles[0];
  return { namespace, ...(role === undefined ? {} : { role }) };
}

/** The manifest's own text with one more server and its facts: comments and everything else stay as they are. */
function withServer({ file, source }: Configuration, name: string, starterText: string): string {
  const document = parseDocument(source.text);
  const starter = parseDocument(starterText);
  for (const part of ['servers', 'facts']) {
    const node = starter.getIn([part, name], true);
    if (node !== undefined) document.setIn([part, name], node);
  }
  const text = document.toString({ lineWidth: 0 });
  const parsed = parseManifest(text, file);
  if (!parsed.ok) throw invalid(file, parsed.problems);
  return text;
}

/** Many servers are given the folder they may work in as their last argument. */
function folderArgument({ args }: CommandLine): string | undefined {
  const last = args.at(-1);
  return last !== undefined && isAbsolute(last) && existsSync(last) && !/\.[cm]?[jt]s$/.test(last) ? last : undefined;
}
