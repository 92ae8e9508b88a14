// The Inspector, a client of the vendor of the protocol that has no model: its command line says which message it sends, and in which era. Both eras go
// through the entry that `init` wrote and through the gate that listens for HTTP. Judged by what it printed and by what the ledger says.

import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { PORTCULLIS } from '../support/cli.ts';
import { referenceServer } from '../support/reference-servers.ts';
import type { InspectedRow } from './inspector-table.ts';
import type { InstalledClient, NpmPackage } from './installed.ts';
import { check, denialIn, type Step, Steps, same, sentenceOf, shown } from './judging.ts';
import { callsIn } from './ledger-calls.ts';
import { NotingRelay } from './noting-relay.ts';
import type { UserHome } from './user-home.ts';

export const INSPECTOR: { readonly package: NpmPackage; readonly bin: string } = {
  package: { name: '@modelcontextprotocol/inspector', version: '2.12.0' },
  bin: 'mcp-inspector',
};

const ERAS = [
  { option: 'legacy', revision: '2025-11-25' },
  { option: 'modern', revision: '2026-07-28' },
] as const;
const SERVER = 'everything';
const DOCUMENT = 'demo://resource/static/document/architecture.md';
const PROMPT = 'simple-prompt';
/** The client in whose file the Inspector finds its server: it has none of its own among those that `init` knows. */
const OWNER = 'cursor';
const AGENT = 'inspector';
const RULES = `
@id("texts")
@reason("documents and prompts of the server")
permit (
  principal in Portcullis::Role::"developer",
  action in [Portcullis::Action::"${SERVER}:resources/read", Portcullis::Action::"${SERVER}:prompts/get"],
  resource == Portcullis::Server::"${SERVER}"
);

@id("small-sums")
@reason("adds to at most 5")
forbid (principal, action == Portcullis::Action::"${SERVER}/get-sum", resource)
when { context.input has a && context.input.a > 5 };
`;
/** As the Inspector ends when a tool answers with an error, or is not there. */
const TOOL_ERROR = 5;

/** A way to the server, and what says who came. */
interface Way {
  readonly through: string;
  readonly agent: string;
  readonly target: readonly string[];
  /** As seen on the wire since the last time. */
  revision(): Promise<string>;
}

interface Answer {
  readonly code: number | null;
  readonly result: JsonObject;
  readonly said: string;
}

export async function acceptInspector(
  user: UserHome,
  installed: InstalledClient,
  onStep: (step: Step) => void,
): Promise<readonly InspectedRow[]> {
  const steps = new Steps(user, onStep);
  const rows: InspectedRow[] = [];
  const file = join(user.home, '.cursor', 'mcp.json');
  const text = clientsFile();
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);

  let key = '';
  const isReady = await steps.take('init, and the server approved with one tool allowed', async () => {
    await succeeds(user, 'init', '--client', OWNER, '--yes');
    check(readFileSync(file, 'utf8').includes('portcullis.js'), 'init did not write the file');
    const { servers } = await user.answer<{ servers: { digest: string }[] }>('tools', 'review', SERVER);
    await succeeds(user, 'tools', 'approve', SERVER, '--digest', servers[0]?.digest ?? '', '--allow', 'get-sum');
    appendFileSync(user.rules(SERVER), RULES);
    key = await keyOfAgent(user);
    await succeeds(user, 'policy', 'check');
    return 'get-sum, documents and prompts; a rule forbids to add to more than 5';
  });
  if (!isReady) return rows;

  await through({
    through: 'an entry that `init` wrote, standard input and output',
    agent: OWNER,
    target: ['--config', file, '--server', SERVER],
    revision: async () => {
      const { clients } = await user.answer<{ clients: { seen?: { revision: string } }[] }>('doctor');
      return clients[0]?.seen?.revision ?? '';
    },
  });
  const relay = await served();
  if (relay !== undefined) {
    await through({
      through: '`serve --http`, Streamable HTTP',
      agent: AGENT,
      target: ['--server-url', relay.url, '--transport', 'http', '--header', `Authorization: Bearer ${key}`],
      revision: async () => [...new Set(relay.revisions.splice(0))].join(', '),
    });
    await relay.close();
  }

  await steps.take('restore: byte for byte', async () => {
    await succeeds(user, 'restore', '--all', '--yes');
    check(readFileSync(file, 'utf8') === text, 'the file differs');
    return `${Buffer.byteLength(text)} bytes`;
  });
  await steps.take('the ledgers verify', async () => {
    for (const ledger of user.ledgers()) await succeeds(user, 'verify', ledger);
    return `${user.ledgers().length} ledgers`;
  });
  return rows;

  async function served(): Promise<NotingRelay | undefined> {
    let relay: NotingRelay | undefined;
    await steps.take('a gate that listens for HTTP', async () => {
      const serving = user.start(process.execPath, [PORTCULLIS, 'serve', '--http', '127.0.0.1:0']);
      await (await serving.says('listening on ')).opensWith(1);
      const url = `${/listening on (\S+)/.exec(serving.stderr)?.[1] ?? ''}/${SERVER}`;
      relay = await NotingRelay.to(url);
      return new URL(url).pathname;
    });
    return relay;
  }

  async function through(way: Way): Promise<void> {
    for (const era of ERAS) {
      const row: InspectedRow = { version: installed.version, through: way.through };
      rows.push(row);
      const named = (name: string): string => `${way.agent === AGENT ? 'HTTP' : 'entry'} ${era.revision}: ${name}`;
      const ask = (...args: readonly string[]): Promise<Answer> => inspect(way, era.option, args);

      await steps.take(named('what no rule allows is not offered'), async () => {
        const { code, result, said } = await ask('--method', 'tools/list');
        check(code === 0 && same(namesIn(result.tools), ['get-sum']), `it ended with ${code}: ${said}`);
        const other = await ask('--method', 'tools/call', '--tool-name', 'get-env');
        check(other.code === TOOL_ERROR && other.said.includes('not found'), `get-env: ${other.said}`);
        row.tools = 'only the one with a rule';
        return namesIn(result.tools).join(' ');
      });
      await steps.take(named('an allowed call'), async () => {
        const { code, result, said } = await add(ask, 1);
        check(code === 0 && textIn(result.content) === 'The sum of 1 and 2 is 3.', `it ended with ${code}: ${said}`);
        const call = callOf(result);
        const recorded = callsIn(await user.entries()).find(({ id }) => id === call);
        const { agent, end, endings } = recorded ?? {};
        check(
          agent === way.agent && end === 'completed' && endings === 1,
          `in the ledger: ${JSON.stringify(recorded)}`,
        );
        row.allowed = `one completed call of \`${way.agent}\``;
        return `${textIn(result.content)} ${call}`;
      });
      await steps.take(named('a call that a rule forbids'), async () => {
        const { code, result, said } = await add(ask, 7);
        const told = textIn(result.content);
        check(code === TOOL_ERROR && result.isError === true, `it ended with ${code}: ${said}`);
        const call = denialIn(told, 'POLICY_FORBID');
        const recorded = callsIn(await user.entries()).find(({ id }) => id === call);
        check(recorded?.end === 'denied', `in the ledger: ${JSON.stringify(recorded)}`);
        row.denied = sentenceOf(told);
        return shown(told);
      });
      await steps.take(named('a document and a prompt'), async () => {
        const listed = await ask('--method', 'resources/list');
        check(JSON.stringify(listed.result).includes(DOCUMENT), `resources: ${listed.said}`);
        const document = await ask('--method', 'resources/read', '--uri', DOCUMENT);
        check(textIn(document.result.contents).includes('Everything Server'), `the document: ${document.said}`);
        const prompts = await ask('--method', 'prompts/list');
        check(namesIn(prompts.result.prompts).includes(PROMPT), `prompts: ${prompts.said}`);
        const prompt = await ask('--method', 'prompts/get', '--prompt-name', PROMPT);
        check(JSON.stringify(prompt.result.messages).includes('simple prompt'), `the prompt: ${prompt.said}`);
        const entries = await user.entries();
        for (const { result } of [document, prompt])
          check(isCompleted(entries, callOf(result)), `${callOf(result)} is not completed in the ledger`);
        row.resource = 'listed and read';
        row.prompt = 'listed and got';
        return `${DOCUMENT}, ${PROMPT}`;
      });
      await steps.take(named('the revision on the wire'), async () => {
        const seen = await way.revision();
        check(seen === era.revision, `seen: ${seen}`);
        row.revision = seen;
        return seen;
      });
    }
  }

  async function inspect(way: Way, era: string, args: readonly string[]): Promise<Answer> {
    const line = ['--cli', ...way.target, '--protocol-era', era, '--format', 'json', '--quiet', ...args];
    // Otherwise it looks for a keychain, and complains.
    const running = user.start(installed.program, line, { MCP_INSPECTOR_SECRET_STORE: 'memory' });
    const ended = await user.bounded(running);
    return { code: ended.code, result: resultIn(ended.stdout), said: shown(ended.stdout + ended.stderr) };
  }
}

/** As people write them, but without comments, which the Inspector does not read. */
function clientsFile(): string {
  const { command, args } = referenceServer('everything', []);
  return `{ "mcpServers": {
      "${SERVER}": {"command": ${JSON.stringify(command)},
                "args": ${JSON.stringify(args)}}
} }
`;
}

/** A key for the agent that comes over HTTP, its digest in the manifest as docs/serve.md says. */
async function keyOfAgent(user: UserHome): Promise<string> {
  const { key, digest } = await user.answer<{ key: string; digest: string }>('keys', '--new-api-key');
  const manifest = join(user.home, '.config', 'portcullis', 'portcullis.yaml');
  const line = `  ${AGENT}: { roles: [developer], auth: { apiKey: "${digest}" } }`;
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/^agents:$/m, `agents:\n${line}`));
  return key;
}

function add(ask: (...args: readonly string[]) => Promise<Answer>, a: number): Promise<Answer> {
  return ask('--method', 'tools/call', '--tool-name', 'get-sum', '--tool-args-json', JSON.stringify({ a, b: 2 }));
}

async function succeeds(user: UserHome, ...args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await user.portcullis(...args);
  check(code === 0, `portcullis ${args.join(' ')} ended with ${code}: ${shown(stdout + stderr)}`);
}

function resultIn(stdout: string): JsonObject {
  try {
    const { result } = JSON.parse(stdout) as { result?: Json };
    return isJsonObject(result) ? result : {};
  } catch {
    return {};
  }
}

function itemsIn(list: Json | undefined): JsonObject[] {
  return Array.isArray(list) ? list.filter(isJsonObject) : [];
}

function namesIn(list: Json | undefined): string[] {
  return itemsIn(list).map(({ name }) => String(name));
}

function textIn(list: Json | undefined): string {
  return itemsIn(list)
    .map(({ text }) => String(text))
    .join('\n');
}

/** The call that a result is the receipt of. */
function callOf({ _meta: meta }: JsonObject): string {
  const receipt = isJsonObject(meta) ? meta['dev.portcullis/receipt'] : undefined;
  return isJsonObject(receipt) ? String(receipt.call) : 'no receipt';
}

function isCompleted(entries: readonly JsonObject[], call: string): boolean {
  return entries.some(
    (entry) =>
      entry.call === call &&
      entry.type === 'call.ending' &&
      isJsonObject(entry.outcome) &&
      entry.outcome.status === 'completed',
  );
}
