// A governed run, from nothing: two real MCP servers behind the gate, a real MCP client in front of it, and each promise shown and checked. It
// fails when anything that was denied happened. `npm start` runs it; it needs nothing and leaves one folder below the system's temporary one.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { listenHttp } from '../adapters/downstream/http/http-front.ts';
import { replayLedger } from '../cli/commands/replay.ts';
import { verify } from '../cli/commands/verify.ts';
import { readConfiguration } from '../cli/configuration.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { startGate } from '../cli/gate.ts';
import { findHome, gateFolder } from '../cli/home.ts';
import { httpAccess } from '../cli/http-access.ts';
import { openKeys } from '../cli/ledger.ts';
import { output } from '../cli/output.ts';
import { marksOf } from '../cli/review-text.ts';
import { launchOf } from '../cli/servers.ts';
import { packageVersion } from '../cli/version.ts';
import type { Authority } from '../proxy/ports.ts';
import { approveAsTheyAre } from './approved-servers.ts';

const out = output(false);
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-run-')));
const workspace = join(folder, 'workspace');
const outside = join(folder, 'outside.txt');

/** The file of a server package: the entry of its `bin`. */
function serverFile(name: string): string {
  const root = new URL(import.meta.url.endsWith('.js') ? '../../' : '../', import.meta.url);
  return fileURLToPath(new URL(`node_modules/@modelcontextprotocol/${name}/dist/index.js`, root));
}

function writeExample(): string {
  mkdirSync(join(folder, 'policy'), { recursive: true });
  mkdirSync(workspace);
  writeFileSync(join(workspace, 'hello.txt'), 'Hello from the workspace.\n');
  const manifest = join(folder, 'portcullis.yaml');
  writeFileSync(
    manifest,
    `apiVersion: portcullis/v1
agents:
  demo: { roles: [dev], auth: local }
servers:
  fs:
    stdio: { command: node, args: [${JSON.stringify(serverFile('server-filesystem'))}, ${JSON.stringify(folder)}] }
  everything:
    stdio: { command: node, args: [${JSON.stringify(serverFile('server-everything'))}] }
facts:
  fs:
    "*":
      paths: { kind: path, from: [/path, /paths/*, /source, /destination], roots: { workspace: ${JSON.stringify(workspace)} } }
`,
  );
  // The server itself may write in the whole folder; it is the gate that keeps the agent inside the workspace.
  writeFileSync(
    join(folder, 'policy', 'demo.cedar'),
    `@id("workspace-only")
@reason("files are read and written inside the workspace")
permit (
  principal in Portcullis::Role::"dev",
  action in [Portcullis::Action::"fs/read_text_file", Portcullis::Action::"fs/write_file"],
  resource == Portcullis::Server::"fs"
)
when { context.facts has paths && context.facts.paths.within.contains("workspace") };

@id("echo")
@reason("echoing is harmless")
permit (principal in Portcullis::Role::"dev", action == Portcullis::Action::"everything/echo", resource);
`,
  );
  return manifest;
}

/** Lets the run pretend that the deciding side was taken over: it hands out a permit that was used before. */
class Interposer {
  replayNext = false;
  #used: string | undefined;

  around(authority: Authority): Authority {
    return {
      authorize: async (request) => {
        const authorization = await authority.authorize(request);
        if (authorization.decision === 'deny') return authorization;
        if (this.replayNext && this.#used !== undefined) return { ...authorization, permit: this.#used };
        this.#used = authorization.permit;
        return authorization;
      },
      install: (source, manifest, ready) => authority.install(source, manifest, ready),
      visible: (principal) => authority.visible(principal),
      checkOutput: (server, tool, json) => authority.checkOutput(server, tool, json),
      close: () => authority.close(),
    };
  }
}

let step = 0;

function show(title: string): void {
  step += 1;
  out.line(`\n${out.style('bold', `${step}. ${title}`)}`);
}

function must(truth: boolean, what: string): void {
  if (!truth) throw new Error(`this should not be: ${what}`);
  out.line(`   ${out.style('green', 'ok')}  ${what}`);
}

async function call(
  client: Client,
  name: string,
  args: Record<string, unknown>,
): Promise<{ text: string; code: string | undefined }> {
  const result = (await client.callTool({ name, arguments: args })) as CallToolResult;
  const [first] = result.content;
  const denial = result._meta?.['dev.portcullis/denial'] as { code?: string } | undefined;
  const text = first?.type === 'text' ? first.text : '';
  out.line(`   ${name} ${JSON.stringify(args).replaceAll(folder, '…')}`);
  out.line(`   ${out.style(denial === undefined ? 'cyan' : 'yellow', `→ ${text.split('\n')[0] ?? ''}`)}`);
  return { text, code: denial?.code };
}

async function main(): Promise<void> {
  process.env.PORTCULLIS_HOME = folder;
  const configuration = readConfiguration(writeExample());
  const home = findHome();
  const gateFiles = gateFolder(home, 'demo');
  const interposer = new Interposer();
  out.line(`A governed run in ${folder}`);
  const keys = openKeys(gateFiles.keys);
  const launches = await Promise.all(
    Object.entries(configuration.manifest.servers).map(([name, server]) => launchOf(name, server, folder)),
  );
  show('What nobody approved is not offered: the servers are looked at first');
  for (const { name, definition, digest, environment } of await approveAsTheyAre(home, launches)) {
    const { tools, prompts, resourceTemplates } = definition;
    out.line(`   ${name}: ${tools.length} tools, ${prompts.length} prompts, ${resourceTemplates.length} templates`);
    must(marksOf(definition).length === 0, 'no character in them is hidden or passes for another one');
    // Here the example says yes to what it has just looked at; a person runs `portcullis tools approve` and is shown every word.
    const files = environment?.trees.reduce((sum, tree) => sum + tree.files, environment.files.length) ?? 0;
    out.line(`   approved as ${digest}, with the ${files} files that it runs`);
  }
  out.line('\nStarting server-filesystem and server-everything behind the gate ...');
  const gate = await startGate({
    folder: gateFiles,
    keys,
    version: packageVersion(),
    configuration,
    launches,
    missingPolicyHint: '',
    note: () => {},
    interpose: (authority) => interposer.around(authority),
  });
  const started = await listenHttp({
    host: '127.0.0.1',
    port: 0,
    sessions: gate.sessions,
    access: httpAccess(configuration, undefined),
    onDefect: (defect) => gate.halt(defect),
  });
  if (!started.ok) throw new Error(started.problem);
  const client = new Client({ name: 'governed-run', version: packageVersion() });
  try {
    await gate.ready;
    // It opens with the first server that is there.
    for (const until = Date.now() + 30_000; gate.served().length < launches.length && Date.now() < until; )
      await new Promise((resolve) => setTimeout(resolve, 20));
    const shut = gate.governance.reason;
    if (shut !== undefined) throw new Error(`the gate did not open: ${shut.code} ${shut.detail}`);
    // The SDK's own type of its transport predates exact optional properties.
    await client.connect(
      new StreamableHTTPClientTransport(new URL(started.front.url)) as Parameters<Client['connect']>[0],
    );
    const { tools } = await client.listTools();
    out.line(`The client sees ${tools.map((tool) => tool.name).join(', ')}, and nothing of the other tools.`);

    show('What a rule allows happens');
    const read = await call(client, 'fs__read_text_file', { path: join(workspace, 'hello.txt') });
    must(read.code === undefined && read.text.includes('Hello'), 'the file was read');
    const write = await call(client, 'fs__write_file', {
      path: join(workspace, 'note.txt'),
      content: 'written through the gate\n',
    });
    must(
      write.code === undefined && readFileSync(join(workspace, 'note.txt'), 'utf8').includes('through the gate'),
      'the file was written',
    );
    const echo = await call(client, 'everything__echo', { message: 'hi' });
    must(echo.code === undefined && echo.text.includes('hi'), 'the second server answered');

    show('What no rule allows does not');
    const beyond = await call(client, 'fs__write_file', { path: join(workspace, '..', 'outside.txt'), content: 'x' });
    must(beyond.code === 'POLICY_NO_PERMIT', 'the write outside the workspace was denied');
    must(!existsSync(outside), 'and it did not happen');

    show('A permit is good for one call: a used one is refused, even if the deciding side hands it out');
    interposer.replayNext = true;
    const replayed = await call(client, 'fs__write_file', { path: join(workspace, 'replayed.txt'), content: 'x' });
    interposer.replayNext = false;
    must(replayed.code === 'PERMIT_REPLAYED', 'the used permit was refused by the gate');
    must(!existsSync(join(workspace, 'replayed.txt')), 'and nothing was written');

    show('The policy engine is taken away: everything is denied');
    await gate.authority.close();
    const without = await call(client, 'fs__read_text_file', { path: join(workspace, 'hello.txt') });
    const withoutToo = await call(client, 'everything__echo', { message: 'hi' });
    must(without.code === 'POLICY_ENGINE_FAULT' && withoutToo.code === 'POLICY_ENGINE_FAULT', 'no engine, no call');
  } finally {
    await client.close();
    await started.front.close();
    await gate.close();
  }

  show('Somebody edits one entry of a copy of the ledger: verify names it');
  const copy = join(folder, 'edited-copy');
  cpSync(gateFiles.folder, copy, { recursive: true });
  const seq = editOneEntry(join(copy, 'ledger', 'seg'));
  out.line(`   portcullis verify ${join(copy, 'ledger')}`);
  must((await verify(join(copy, 'ledger'), {}, out)) === EXIT.verificationFailed, `the edit of entry ${seq} was found`);

  show('The ledger itself verifies, and every decision replays to the same result');
  out.line(`   portcullis verify ${gateFiles.ledger}`);
  must((await verify(gateFiles.ledger, {}, out)) === EXIT.ok, 'the ledger is intact');
  out.line(`   portcullis replay ${gateFiles.ledger}`);
  must((await replayLedger(gateFiles.ledger, {}, out)) === EXIT.ok, 'no differences');

  out.line(`
The ledger of this run:   ${gateFiles.ledger}
Look at what happened:    PORTCULLIS_HOME=${folder} npx portcullis log --payloads

Put it in front of your own server (any command that starts a stdio MCP server):
  npx portcullis policy init -- COMMAND ARGS...
  npx portcullis wrap -- COMMAND ARGS...`);
}

/** Turns one denial into something that sounds better, as a forger would. Returns the number of the entry. */
function editOneEntry(segments: string): number {
  const [name] = readdirSync(segments);
  const file = join(segments, name ?? '');
  const lines = readFileSync(file, 'utf8').split('\n');
  const at = lines.findIndex((line) => line.includes('"type":"call.denial"') && line.includes('POLICY_NO_PERMIT'));
  const line = lines[at] ?? '';
  lines[at] = line.replace('"agent":"demo"', '"agent":"eve"');
  writeFileSync(file, lines.join('\n'));
  return (JSON.parse(line) as { seq: number }).seq;
}

main().then(
  () => {
    process.exitCode = EXIT.ok;
  },
  (error: unknown) => {
    out.error(error instanceof Error ? error.message : String(error), `what was written is in ${folder}`);
    process.exitCode = EXIT.error;
  },
);
