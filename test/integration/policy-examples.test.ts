import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CedarEngine, cedarLanguage } from '../../adapters/policy-engine/cedar.ts';
import { fileSystemPaths } from '../../adapters/policy-engine/path-resolver.ts';
import { assembleBundle } from '../../control-plane/policy/assemble-bundle.ts';
import { type Bundle, digestWith } from '../../control-plane/policy/bundle.ts';
import { hypotheticalRequest, parseExpectations, runExpectations } from '../../control-plane/policy/expectations.ts';
import { explain, explanationText } from '../../control-plane/policy/explain.ts';
import { problemText, type ServerTools, type SourceText } from '../../control-plane/policy/source.ts';
import { starterPolicy } from '../../control-plane/policy/starter.ts';
import { referenceTools } from '../support/reference-servers.ts';

const digestOf = digestWith((data) => createHash('sha256').update(data).digest());
const EXAMPLES = new URL('../../examples/policies/', import.meta.url);

function bundleOf(manifest: SourceText, policies: readonly SourceText[], tools: ServerTools): Bundle {
  const assembled = assembleBundle({ manifest, policies, tools: [tools] }, cedarLanguage, digestOf);
  if (!assembled.ok) throw new Error(assembled.problems.map(problemText).join('\n'));
  return assembled.bundle;
}

/** An example as it lies in the repository, its workspace replaced by a real folder. */
function example(name: string, workspace: string, tools: ServerTools): { bundle: Bundle; failures: string[] } {
  const read = (file: string): SourceText => ({
    file: `${name}/${file}`,
    text: readFileSync(new URL(`${name}/${file}`, EXAMPLES), 'utf8').replaceAll('/srv/workspace', workspace),
  });
  const files = readdirSync(new URL(`${name}/policy/`, EXAMPLES)).map((file) => read(`policy/${file}`));
  const bundle = bundleOf(read('portcullis.yaml'), files, tools);
  const table = read('expectations.yaml');
  const parsed = parseExpectations(table.text, table.file, bundle);
  if (!parsed.ok) throw new Error(parsed.problems.map(problemText).join('\n'));
  const outcomes = runExpectations(bundle, parsed.expectations, new CedarEngine(bundle), fileSystemPaths);
  expect(outcomes.length).toBeGreaterThan(10);
  const failures = outcomes
    .filter(({ passed }) => !passed)
    .map(({ expectation, got }) => `${expectation.name}: ${got}`);
  return { bundle, failures };
}

describe('the worked examples', () => {
  let workspace = '';
  let files: ServerTools;
  let everything: ServerTools;

  beforeAll(async () => {
    workspace = join(realpathSync(mkdtempSync(join(tmpdir(), 'portcullis-'))), 'workspace');
    mkdirSync(workspace);
    symlinkSync('/etc', join(workspace, 'link'));
    files = { server: 'fs', tools: await referenceTools('filesystem', [workspace]) };
    everything = { server: 'everything', tools: await referenceTools('everything', []) };
  });
  afterAll(() => rmSync(join(workspace, '..'), { recursive: true, force: true }));

  it('for the file server decide as its table says, with the tools that the real server has', () => {
    expect(example('filesystem', workspace, files).failures).toEqual([]);
  });

  it('for the server of everything decide as its table says, with the tools that the real server has', () => {
    expect(example('everything', workspace, everything).failures).toEqual([]);
  });

  it('for a server like that of GitHub decide as its table says', () => {
    const tools = JSON.parse(readFileSync(new URL('github/tools.json', EXAMPLES), 'utf8')) as ServerTools;
    expect(example('github', workspace, tools).failures).toEqual([]);
  });

  it('for an office, in which what was done before counts, decide as its table says', () => {
    const tools = JSON.parse(readFileSync(new URL('office/tools.json', EXAMPLES), 'utf8')) as ServerTools;
    expect(example('office', workspace, tools).failures).toEqual([]);
  });

  it('do not follow a link out of the workspace', () => {
    const { bundle } = example('filesystem', workspace, files);
    const call = {
      agent: 'coder',
      server: 'fs',
      tool: 'read_text_file',
      arguments: { path: `${workspace}/link/passwd` },
    };
    const { decision } = explain(bundle, hypotheticalRequest(bundle.manifest, call), cedarLanguage, fileSystemPaths);
    expect(decision).toMatchObject({ decision: 'deny', code: 'POLICY_NO_PERMIT' });
  });

  it('explain which rule decided and what would have to change', () => {
    const { bundle } = example('filesystem', workspace, files);
    const told = (tool: string, args: Record<string, string>, agent = 'coder'): string => {
      const request = hypotheticalRequest(bundle.manifest, { agent, server: 'fs', tool, arguments: args });
      return explanationText(explain(bundle, request, cedarLanguage, fileSystemPaths)).replaceAll(workspace, '/ws');
    };
    expect(told('write_file', { path: `${workspace}/.env`, content: 'x' })).toBe(
      [
        'denied: POLICY_FORBID by fs-no-secrets',
        'facts: {"content":{"bytes":1},"paths":{"touches":["secrets"],"within":["workspace"]}}',
        'applies: forbid fs-no-secrets (filesystem/policy/fs.cedar:28)',
        '  yes  when context.facts has paths',
        '  yes  when context.facts.paths.touches.containsAny(["secrets", "vcs"])',
        'applies: permit fs-write (filesystem/policy/fs.cedar:7)',
        '  yes  when context.facts.paths.within.contains("workspace")',
        '  yes  when context.facts.content.bytes <= 65536',
        'the rule fs-no-secrets (filesystem/policy/fs.cedar:28) would have to stop applying: it forbids when context.facts has paths and when context.facts.paths.touches.containsAny(["secrets", "vcs"])',
      ].join('\n'),
    );
    expect(told('write_file', { path: '/elsewhere', content: 'x' }, 'reviewer')).toContain(
      'the rule fs-write (filesystem/policy/fs.cedar:7) would permit it if: principal in Acme::Role::"dev"; context.facts.paths.within.contains("workspace")',
    );
    expect(told('create_directory', { path: '/elsewhere' })).toContain(
      'permit (principal in Acme::Role::"dev", action == Acme::Action::"fs/create_directory", resource == Acme::Server::"fs");',
    );
    expect(told('read_text_file', { path: `${workspace}/a` })).toMatch(/^allowed by fs-read\n/);
    expect(told('read_text_file', { path: '~' })).toContain(
      'the request is refused before any rule is asked: fact paths',
    );
  });

  it('have a starter beside them that lists every real tool and allows only what was chosen', () => {
    const starter = starterPolicy({
      server: 'fs',
      command: 'node',
      args: ['server.js', workspace],
      tools: files.tools,
      allow: ['read_text_file'],
      workspace,
    });
    const bundle = bundleOf(starter.manifest, [starter.policy], files);
    const decide = (tool: string, path: string): string => {
      const request = hypotheticalRequest(bundle.manifest, { agent: 'me', server: 'fs', tool, arguments: { path } });
      const { decision } = explain(bundle, request, cedarLanguage, fileSystemPaths);
      return decision.decision === 'allow' ? 'allow' : decision.code;
    };
    for (const { name } of files.tools) expect(starter.policy.text).toContain(`"fs/${name}"`);
    expect([...bundle.rules.keys()]).toEqual(['fs-no-secrets', 'fs-read_text_file']);
    expect(decide('read_text_file', `${workspace}/a`)).toBe('allow');
    expect(decide('read_text_file', '/etc/passwd')).toBe('POLICY_NO_PERMIT');
    expect(decide('read_text_file', `${workspace}/.env`)).toBe('POLICY_FORBID');
    expect(decide('list_directory', workspace)).toBe('POLICY_NO_PERMIT');
    const all = starterPolicy({
      server: 'fs',
      command: 'node',
      args: [],
      tools: files.tools,
      allow: files.tools.map(({ name }) => name),
    });
    expect(bundleOf(all.manifest, [all.policy], files).rules.size).toBe(files.tools.length);
  });
});
