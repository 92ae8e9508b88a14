// A first policy for a server, written from its real tools: every tool and method listed, nothing allowed that was not chosen. What a server says
// about itself is hostile text: it appears only escaped, in comments and in quoted strings.

import { actionId, GOVERNED_METHODS, PLAIN_METHODS, TOOL_METHOD } from '../../domain/action.ts';
import { inputShape, type RecordShape } from './input-shape.ts';
import { CALL_OUTPUT_BYTES_DEFAULT, CALL_TIMEOUT_MS_DEFAULT } from './limits.ts';
import { METHOD_INPUTS } from './methods.ts';
import { presence } from './pointer.ts';
import type { SourceText, ToolDefinition } from './source.ts';

export interface StarterOptions {
  /** Name of the server in the manifest. */
  readonly server: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly tools: readonly ToolDefinition[];
  /** Tools that the user chose to allow. */
  readonly allow: readonly string[];
  /** Where allowed tools may work, if they take paths: an absolute path. */
  readonly workspace?: string;
  /** Where the server is to be started. */
  readonly cwd?: string;
  /** Of the manifest that the server is added to; a new one has its own. */
  readonly namespace?: string;
  readonly role?: string;
}

export interface Starter {
  readonly manifest: SourceText;
  readonly policy: SourceText;
}

const NAMESPACE = 'Portcullis';
const AGENT = 'me';
const ROLE = 'user';

/** Arguments that carry a path, in the servers we know. */
const PATH_POINTERS = ['/path', '/paths/*', '/source', '/destination'];

export function starterPolicy(options: StarterOptions): Starter {
  const { server, tools, workspace } = options;
  const sorted = [...tools].sort((a, b) => (a.name < b.name ? -1 : 1));
  const pointers =
    workspace === undefined
      ? []
      : PATH_POINTERS.filter((pointer) => sorted.some((tool) => presence(tool.inputSchema, pointer) !== 'never'));
  return {
    manifest: { file: 'portcullis.yaml', text: manifestText(options, pointers) },
    policy: { file: `policy/${server}.cedar`, text: rulesText({ ...options, tools: sorted }, pointers) },
  };
}

function manifestText({ server, command, args, cwd, workspace }: StarterOptions, pointers: readonly string[]): string {
  const lines = [
    '# What this gate knows: who may call, which servers there are, and which facts the rules can use.',
    '# The rules themselves are in policy/*.cedar. Whatever no rule permits is denied.',
    'apiVersion: portcullis/v1',
    '',
    'agents:',
    '  # The client that starts the gate on this machine.',
    `  ${AGENT}: { roles: [${ROLE}], auth: local }`,
    '',
    'servers:',
    `  ${server}:`,
    '    stdio:',
    `      command: ${quoted(command)}`,
    `      args: [${args.map(quoted).join(', ')}]`,
    ...(cwd === undefined
      ? []
      : [
          '      # Started here, wherever the client is: what is approved is approved for this.',
          `      cwd: ${quoted(cwd)}`,
        ]),
    '      # The server gets no other variables of the environment than these. Secrets are passed on, never written here.',
    '      env: { allow: [] }',
    '    # "shared": one process for every client. "per-session": each session gets a process of its own, which ends with it.',
    '    isolation: shared',
    '    # For each call. With "concurrency: 4" at most four are with the server at once, and others wait for their turn.',
    `    limits: { timeoutMs: ${CALL_TIMEOUT_MS_DEFAULT}, outputBytes: ${CALL_OUTPUT_BYTES_DEFAULT} }`,
  ];
  if (pointers.length > 0 && workspace !== undefined) {
    lines.push(
      '',
      'facts:',
      `  ${server}:`,
      '    # For every tool that takes a path: facts.paths.within names the roots that contain all of its paths, after',
      '    # links are followed; facts.paths.touches names the classes that any of them falls into.',
      '    "*":',
      '      paths:',
      '        kind: path',
      `        from: [${pointers.map(quoted).join(', ')}]`,
      `        roots: { workspace: ${quoted(workspace)} }`,
      '        classes: { secrets: ["**/.ssh/**", "**/.aws/**", "**/.env*", "**/*.pem", "**/*.key"] }',
    );
  }
  return `${lines.join('\n')}\n`;
}

function rulesText(options: StarterOptions, pointers: readonly string[]): string {
  const { server, tools, allow, workspace, namespace = NAMESPACE, role = ROLE } = options;
  const ids = new Set<string>();
  const permit = (id: string, reason: string, method: string, tool: string, condition = ''): string =>
    [
      `@id(${quoted(id)})`,
      `@reason(${quoted(reason)})`,
      `permit (principal in ${namespace}::Role::${quoted(role)}, ` +
        `action == ${namespace}::Action::${cedarString(actionId(method, server, tool))}, ` +
        `resource == ${namespace}::Server::${quoted(server)})${condition};`,
    ].join('\n');
  const blocks = [
    [
      `// Rules for the server ${comment(server)}. Whatever no rule permits is denied; a forbid wins over every permit.`,
      '// To allow a tool, remove the "// " in front of its rule. Then: portcullis policy check',
    ],
  ];
  for (const tool of tools) {
    const lines: string[] = [];
    if (tool.description !== undefined) lines.push(`// ${comment(tool.description)}`);
    const nameable = /^[ -~]+$/.test(tool.name);
    const chosen = nameable && allow.includes(tool.name);
    lines.push(`// input: ${inputsOf(inputShape(tool.inputSchema))}`);
    const takesPath = pointers.some((pointer) => presence(tool.inputSchema, pointer) !== 'never');
    const condition = takesPath
      ? '\nwhen { context.facts has paths && context.facts.paths.within.contains("workspace") }'
      : '';
    const reason = chosen ? 'chosen when this policy was written' : 'say why';
    const rule = permit(ruleId(`${server}-${tool.name}`, ids), reason, TOOL_METHOD, tool.name, condition);
    if (!nameable) lines.push('// Its name has characters that rules cannot have: it can never be allowed.');
    blocks.push([...lines, chosen ? rule : rule.replace(/^/gm, '// ')]);
  }
  blocks.push([
    `// What else can be asked of the server, and what it can ask of the client. All of it is denied too until a rule permits it.`,
  ]);
  for (const method of PLAIN_METHODS) {
    const who = GOVERNED_METHODS[method] === 'client to server' ? 'asked of the server' : 'asked by the server';
    const shape = METHOD_INPUTS.get(method)?.shape;
    const rule = permit(ruleId(`${server}-${method}`, ids), 'say why', method, method);
    blocks.push([
      `// ${method}, ${who}; input: ${shape === undefined ? 'none' : inputsOf(shape)}`,
      rule.replace(/^/gm, '// '),
    ]);
  }
  if (pointers.length > 0 && workspace !== undefined) {
    blocks.push([
      `@id("${ruleId(`${server}-no-secrets`, ids)}")`,
      '@reason("keys and credentials are never touched, whoever asks")',
      `forbid (principal, action, resource == ${namespace}::Server::${quoted(server)})`,
      'when { context.facts has paths && context.facts.paths.touches.contains("secrets") };',
    ]);
  }
  return `${blocks.map((block) => block.join('\n')).join('\n\n')}\n`;
}

function inputsOf(shape: RecordShape): string {
  const shown = [...shape.fields].filter(([, field]) => shape.open === undefined || field.shape.kind !== 'hidden');
  const inputs = shown.map(([name, { required }]) => `${comment(name)}${required ? '' : '?'}`);
  return inputs.length === 0 ? 'none' : comment(inputs.join(', '));
}

/** An id of letters that ids may have, and of no other rule. */
function ruleId(wanted: string, taken: Set<string>): string {
  const plain =
    wanted
      .replace(/[^A-Za-z0-9_.-]+/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(0, 56) || 'rule';
  let id = plain;
  for (let number = 2; taken.has(id); number++) id = `${plain}-${number}`;
  taken.add(id);
  return id;
}

/** A string of JSON in ASCII: also a string of YAML. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[^\u0020-\u007e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A string of the rule language in ASCII. */
function cedarString(text: string): string {
  const inner = Array.from(text, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`;
    return /[ -~]/.test(character) ? character : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
  return `"${inner.join('')}"`;
}

/** One line of printable ASCII. */
function comment(text: string): string {
  const line = text.slice(0, 400).replace(/\s+/gu, ' ').trim();
  const plain = Array.from(line, (character) => (/[ -~]/.test(character) ? character : '?')).join('');
  return plain.length > 160 ? `${plain.slice(0, 157)}...` : plain;
}
