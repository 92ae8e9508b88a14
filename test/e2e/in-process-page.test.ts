// The page about in-process tools as its reader would use it: its files are written as they stand there, compiled against the package as it is built, and
// run as programs, with the models of the vendors replaced by scripts.

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { PORTCULLIS } from '../support/cli.ts';
import { chatCompletion, modelMessage, modelResponse, ScriptedModel } from '../support/scripted-model.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PAGE = readFileSync(join(ROOT, 'docs', 'in-process.md'), 'utf8');
/** What the page takes from elsewhere: a model of the AI SDK. */
const MODEL = `import { MockLanguageModelV3 } from 'ai/test';
const usage = { inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 1, text: 1, reasoning: 0 } };
let asked = 0;
export const model = new MockLanguageModelV3({
  doGenerate: async ({ prompt }) => {
    asked += 1;
    if (asked === 1)
      return { content: [{ type: 'tool-call', toolCallId: 'one', toolName: 'notes__count', input: '{"path":"hello.txt"}' }], finishReason: { unified: 'tool-calls', raw: undefined }, usage, warnings: [] };
    return { content: [{ type: 'text', text: JSON.stringify(prompt.at(-1)?.content) }], finishReason: { unified: 'stop', raw: undefined }, usage, warnings: [] };
  },
});
`;
const CONFIG = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    strict: true,
    skipLibCheck: true,
    types: ['node'],
    noUncheckedIndexedAccess: true,
  },
};

const model = new ScriptedModel();
let folder: string;
let env: NodeJS.ProcessEnv;
const names: string[] = [];

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-')));
  for (const [, name = '', text = ''] of PAGE.matchAll(/^```\w+ (\S+)\n([\s\S]*?)^```$/gm)) {
    names.push(name);
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  writeFileSync(join(folder, 'model.ts'), MODEL);
  writeFileSync(join(folder, 'hello.txt'), 'hello world\n');
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(CONFIG));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules', 'portcullis'));
  for (const name of ['zod', 'openai', 'ai', '@openai', '@anthropic-ai', '@types'])
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
  const base = await model.listen();
  env = {
    PATH: process.env.PATH,
    PORTCULLIS_HOME: join(folder, 'home'),
    OPENAI_API_KEY: 'none',
    OPENAI_BASE_URL: base,
    OPENAI_AGENTS_DISABLE_TRACING: '1',
    ANTHROPIC_API_KEY: 'none',
    ANTHROPIC_BASE_URL: base,
  };
});

beforeEach(() => {
  model.heard.length = 0;
  model.script.length = 0;
});

afterAll(async () => {
  await model.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a program of the page to its end; what it wrote. */
async function run(program: string, ...args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [program, ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  let complained = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complained += text;
  });
  const late = setTimeout(() => child.kill('SIGKILL'), 25_000);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearTimeout(late);
  if (code !== 0) throw new Error(`it ended with ${String(code)}\n${said}\n${complained}`);
  expect(complained).toBe('');
  return said;
}

const last = (member: 'messages' | 'input'): JsonObject =>
  (model.heard.at(-1)![member] as readonly JsonObject[]).at(-1)!;

describe('the page about in-process tools', () => {
  it('compiles against the types of the package', () => {
    expect(names).toContain('gate.ts');
    const { stdout } = spawnSync(
      process.execPath,
      [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', '.'],
      {
        cwd: folder,
        encoding: 'utf8',
      },
    );
    expect(stdout).toBe('');
  }, 60_000);

  it('shows what a program does, and what the commands say of it', async () => {
    expect(await run('main.js')).toMatch(/^\{ words: 2 \}\nTOOL_UNKNOWN no 01[0-9A-Z]{24}\n$/);
    const log = await run(PORTCULLIS, 'log', join(folder, 'home', 'state', 'gates', 'my-agent', 'ledger'));
    expect(log.match(/permitted by planner-notes/g)).toHaveLength(2);
    expect(log).toContain('denied TOOL_UNKNOWN');
    expect(await run(PORTCULLIS, 'verify', join(folder, 'home', 'state', 'gates', 'my-agent', 'ledger'))).toContain(
      'verified',
    );
  });

  it('says what the commands do with its configuration', () => {
    const command = (...args: readonly string[]) =>
      spawnSync(process.execPath, [PORTCULLIS, ...args, '--config', 'portcullis.yaml'], {
        cwd: folder,
        env,
        encoding: 'utf8',
      });
    const checked = command('policy', 'check');
    expect(checked.status).toBe(0);
    expect(checked.stderr).toBe(
      'portcullis: the tools of notes are functions of a program and are not looked at here\n',
    );
    const served = command('serve', '--http', '127.0.0.1:0');
    expect(served.status).toBe(2);
    expect(served.stderr).toContain('the tools of servers.notes are functions of a program');
  });

  it('shows the Chat Completions API', async () => {
    const call = { id: 'one', type: 'function', function: { name: 'notes__count', arguments: '{"path":"hello.txt"}' } };
    model.script.push(chatCompletion({ tool_calls: [call] }), chatCompletion({ content: 'two words' }));
    expect(await run('openai.js')).toBe('two words\n');
    expect(last('messages')).toEqual({ role: 'tool', tool_call_id: 'one', content: '{"words":2}' });
  });

  it('shows the Agents SDK', async () => {
    const call = {
      type: 'function_call',
      id: 'fc',
      call_id: 'one',
      name: 'notes__count',
      arguments: '{"path":"hello.txt"}',
      status: 'completed',
    };
    const text = { type: 'output_text', text: 'two words', annotations: [] };
    model.script.push(
      modelResponse(call),
      modelResponse({ type: 'message', id: 'm', role: 'assistant', status: 'completed', content: [text] }),
    );
    expect(await run('openai-agents.js')).toBe('two words\n');
    expect(last('input')).toMatchObject({ type: 'function_call_output', call_id: 'one', output: '{"words":2}' });
  });

  it('shows the Messages API', async () => {
    const use = { type: 'tool_use', id: 'one', name: 'notes__count', input: { path: 'hello.txt' } };
    model.script.push(modelMessage(use), modelMessage({ type: 'text', text: 'two words' }));
    expect(await run('anthropic.js')).toContain('two words');
    expect(last('messages').content).toEqual([{ type: 'tool_result', tool_use_id: 'one', content: '{"words":2}' }]);
  });

  it('shows the AI SDK', async () => {
    expect(await run('ai-sdk.js')).toContain('"value":{"words":2}');
  });

  it('shows a function that is an agent', async () => {
    expect(await run('agents.js')).toBe('friendly\n');
  });

  it('shows functions that were described already', async () => {
    expect(await run('described.js')).toBe('42\n');
  });
});
