// How each client spells a server: names of fields and of transports. Data only; entry-shapes.ts reads and writes by it.

import type { JsonObject } from '../../domain/json.ts';
import type { RemoteTransport } from './server-entry.ts';

export type ShapeName =
  | 'standard'
  | 'vscode'
  | 'windsurf'
  | 'zed'
  | 'cline'
  | 'cline-cli'
  | 'continue'
  | 'goose'
  | 'codex'
  | 'gemini'
  | 'copilot'
  | 'opencode';

export interface LineShape {
  /** The field that the rest lies in, for a client that nests it. */
  readonly inside?: string;
  readonly command: string;
  /** The command's field is a list that holds the arguments too. */
  readonly commandHoldsArgs: boolean;
  readonly env: string;
  /** The field that lists variables the client hands on by name. */
  readonly forwarded?: string;
  /** Fields that hold an address, with the transport they mean where nothing else says it; `unsaid` where that differs by version. */
  readonly urls: Readonly<Record<string, RemoteTransport | 'unsaid'>>;
  readonly headers: readonly [string, ...string[]];
  /** The fields that name variables of the client's environment: one for a bearer token, and a map of header to variable. */
  readonly fromVariables?: { readonly bearer: string; readonly headers: string };
  /** What each `type` means; `remote` is any transport of a remote server. */
  readonly types: Readonly<Record<string, 'stdio' | 'remote' | RemoteTransport>>;
  readonly stdioType: string;
  /** The client wants the type said even for a local server. */
  readonly typeNeeded: boolean;
  /** What else a remote entry may hold without changing where it connects. Anything else is left alone. */
  readonly remoteKeys: readonly string[];
  /** Fields that a gate in between could not honour, with the reason. */
  readonly unsupported?: Readonly<Record<string, string>>;
  /** Why an entry is not an MCP server of its own. */
  readonly builtIn?: (raw: JsonObject) => string | undefined;
  /** Text that the client replaces before it starts or connects. */
  readonly expands: RegExp;
}

const TYPES: LineShape['types'] = {
  stdio: 'stdio',
  local: 'stdio',
  http: 'http',
  'streamable-http': 'http',
  streamableHttp: 'http',
  streamable_http: 'http',
  sse: 'sse',
  ws: 'ws',
  websocket: 'ws',
};

const BRACED = /\$\{|\$env:/;
/** `$NAME` too. */
const DOLLAR = /\$\{|\$env:|\$[A-Za-z_]/;
const NOTHING = /(?!)/;

const KEPT = [
  'timeout',
  'disabled',
  'enabled',
  'autoApprove',
  'alwaysAllow',
  'disabledTools',
  'description',
  'trust',
  'tools',
];

const STANDARD: LineShape = {
  command: 'command',
  commandHoldsArgs: false,
  env: 'env',
  urls: { url: 'http' },
  headers: ['headers'],
  types: TYPES,
  stdioType: 'stdio',
  typeNeeded: false,
  remoteKeys: KEPT,
  unsupported: { envFile: 'the variables in that file are not known by name' },
  expands: BRACED,
};

export const SHAPES: Readonly<Record<ShapeName, LineShape>> = {
  standard: STANDARD,
  vscode: { ...STANDARD, typeNeeded: true, remoteKeys: [...KEPT, 'gallery', 'version', 'dev'] },
  windsurf: { ...STANDARD, urls: { serverUrl: 'http', url: 'http' } },
  zed: {
    ...STANDARD,
    remoteKeys: [...KEPT, 'source'],
    unsupported: {},
    builtIn: ({ source, settings }) =>
      source === 'extension' || (source === undefined && settings !== undefined)
        ? 'an extension of the client brings it along'
        : undefined,
    expands: NOTHING,
  },
  cline: { ...STANDARD, urls: { url: 'unsaid' } },
  'cline-cli': { ...STANDARD, inside: 'transport', typeNeeded: true },
  continue: {
    ...STANDARD,
    headers: ['requestOptions', 'headers'],
    remoteKeys: [...KEPT, 'name', 'connectionTimeout'],
  },
  goose: {
    ...STANDARD,
    command: 'cmd',
    env: 'envs',
    forwarded: 'env_keys',
    urls: { uri: 'http' },
    typeNeeded: true,
    remoteKeys: [...KEPT, 'name', 'bundled', 'display_name', 'envs', 'env_keys', 'available_tools'],
    unsupported: {},
    builtIn: ({ type }) =>
      type === 'builtin' || type === 'platform' || type === 'frontend' || type === 'inline_python'
        ? 'it runs inside the client'
        : undefined,
    expands: BRACED,
  },
  codex: {
    ...STANDARD,
    forwarded: 'env_vars',
    headers: ['http_headers'],
    fromVariables: { bearer: 'bearer_token_env_var', headers: 'env_http_headers' },
    remoteKeys: [
      ...KEPT,
      'startup_timeout_sec',
      'startup_timeout_ms',
      'tool_timeout_sec',
      'enabled_tools',
      'disabled_tools',
      'default_tools_approval_mode',
      'required',
    ],
    unsupported: {},
    expands: NOTHING,
  },
  gemini: {
    ...STANDARD,
    urls: { httpUrl: 'http', url: 'unsaid' },
    remoteKeys: [...KEPT, 'includeTools', 'excludeTools'],
    unsupported: {},
    expands: DOLLAR,
  },
  copilot: { ...STANDARD, stdioType: 'local', typeNeeded: true, expands: DOLLAR },
  opencode: {
    ...STANDARD,
    commandHoldsArgs: true,
    env: 'environment',
    types: { local: 'stdio', remote: 'remote' },
    stdioType: 'local',
    typeNeeded: true,
    unsupported: {},
    expands: /\{(?:env|file):/,
  },
};
