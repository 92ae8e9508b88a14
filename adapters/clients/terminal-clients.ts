// Clients of the terminal.

import type { KnownClient, Place } from './known-clients.ts';

const CHECKED = '2026-11';
const SHELL = 'built-in tools (commands, edits, web)';
const NEW_SESSION = 'start a new session';

const MCP_SERVERS = { format: 'jsonc', at: ['mcpServers'], shape: 'standard' } as const;
const GEMINI = { ...MCP_SERVERS, shape: 'gemini' } as const;
const CODEX = { format: 'toml', at: ['mcp_servers'], shape: 'codex' } as const;
const CONTINUE = { format: 'yaml', at: ['mcpServers'], shape: 'continue', list: true } as const;
const GOOSE = { format: 'yaml', at: ['extensions'], shape: 'goose' } as const;

/** opencode reads its file with and without a "c" at the end. */
function opencode(scope: Place['scope'], folder: string, rest: Partial<Place> = {}): Place[] {
  return ['opencode.json', 'opencode.jsonc'].map((name) => ({
    scope,
    file: `${folder}/${name}`,
    format: 'jsonc',
    at: ['mcp'],
    shape: 'opencode',
    ...rest,
  }));
}

export const TERMINAL_CLIENTS: readonly KnownClient[] = [
  {
    id: 'claude-code',
    title: 'Claude Code',
    places: [
      { scope: 'user', file: '{CLAUDE_CONFIG_DIR|~}/.claude.json', ...MCP_SERVERS, format: 'json' },
      {
        scope: 'local',
        file: '{CLAUDE_CONFIG_DIR|~}/.claude.json',
        format: 'json',
        at: ['projects', '*', 'mcpServers'],
        shape: 'standard',
      },
      {
        scope: 'project',
        file: '{project}/.mcp.json',
        ...MCP_SERVERS,
        format: 'json',
        shared: true,
        above: true,
        privateOverride: 'local',
      },
    ],
    ungoverned: [
      'built-in tools (Bash, Edit, WebFetch and others)',
      'connectors of claude.ai',
      'servers of plugins',
      'servers that an administrator prescribes in managed-mcp.json',
    ],
    reload: 'in a running session: /mcp, then reconnect; or start a new session',
    source: 'run with version 2.1.329',
    checked: CHECKED,
  },
  {
    id: 'codex',
    title: 'Codex CLI',
    places: [
      { scope: 'user', file: '{CODEX_HOME|~/.codex}/config.toml', ...CODEX },
      { scope: 'project', file: '{project}/.codex/config.toml', ...CODEX, shared: true },
    ],
    ungoverned: [SHELL, 'apps and connectors of the account', 'servers that an administrator prescribes'],
    reload: NEW_SESSION,
    source: 'run with version 0.169.0',
    checked: CHECKED,
  },
  {
    id: 'gemini-cli',
    title: 'Gemini CLI',
    places: [
      { scope: 'user', file: '~/.gemini/settings.json', ...GEMINI },
      { scope: 'project', file: '{project}/.gemini/settings.json', ...GEMINI, shared: true },
    ],
    ungoverned: [SHELL, 'servers of extensions'],
    reload: NEW_SESSION,
    source: 'run with version 0.61.0',
    checked: CHECKED,
  },
  {
    id: 'qwen-code',
    title: 'Qwen Code',
    places: [
      { scope: 'user', file: '~/.qwen/settings.json', ...GEMINI },
      { scope: 'project', file: '{project}/.qwen/settings.json', ...GEMINI, shared: true },
    ],
    ungoverned: [SHELL, 'servers of extensions'],
    reload: NEW_SESSION,
    source: 'run with version 0.24.4',
    checked: CHECKED,
  },
  {
    id: 'copilot-cli',
    title: 'Copilot CLI',
    places: [
      { scope: 'user', file: '{COPILOT_HOME|~/.copilot}/mcp-config.json', ...MCP_SERVERS, shape: 'copilot' },
      { scope: 'project', file: '{project}/.github/mcp.json', ...MCP_SERVERS, shape: 'copilot', shared: true },
    ],
    ungoverned: [SHELL, 'the built-in GitHub server'],
    reload: NEW_SESSION,
    source: 'run with version 1.0.102',
    checked: CHECKED,
  },
  {
    id: 'opencode',
    title: 'opencode',
    places: [
      ...opencode('user', '{XDG_CONFIG_HOME|~/.config}/opencode'),
      ...opencode('user', '{localappdata}/opencode', { platforms: ['win32'] }),
      ...opencode('project', '{project}', { shared: true }),
      ...opencode('project', '{project}/.opencode', { shared: true }),
    ],
    ungoverned: [SHELL, 'tools of plugins'],
    reload: NEW_SESSION,
    source: 'run with version 1.18.33',
    checked: CHECKED,
  },
  {
    id: 'continue',
    title: 'Continue',
    places: [
      { scope: 'user', file: '~/.continue/config.yaml', ...CONTINUE },
      { scope: 'user', file: '~/.continue/mcpServers/*.yaml', ...CONTINUE },
      { scope: 'project', file: '{project}/.continue/mcpServers/*.yaml', ...CONTINUE, shared: true },
    ],
    ungoverned: [SHELL, 'servers that a configuration from the hub brings along'],
    reload: NEW_SESSION,
    source: 'run with version 1.5.47',
    checked: CHECKED,
  },
  {
    id: 'cline-cli',
    title: 'Cline CLI',
    places: [
      {
        scope: 'user',
        file: '~/.cline/data/settings/cline_mcp_settings.json',
        ...MCP_SERVERS,
        shape: 'cline-cli',
      },
    ],
    ungoverned: ['built-in tools (commands, files, browser)'],
    reload: NEW_SESSION,
    source: 'run with version 3.0.65',
    checked: CHECKED,
  },
  {
    id: 'goose',
    title: 'Goose',
    places: [
      { scope: 'user', platforms: ['linux', 'darwin'], file: '{config}/goose/config.yaml', ...GOOSE },
      { scope: 'user', platforms: ['win32'], file: '{support}/Block/goose/config/config.yaml', ...GOOSE },
    ],
    ungoverned: [
      'built-in and platform extensions (developer, memory and others)',
      'extensions that a recipe brings along',
    ],
    reload: NEW_SESSION,
    source: 'sources of other tools',
    checked: CHECKED,
  },
  {
    id: 'droid',
    title: 'Factory droid',
    places: [
      { scope: 'user', file: '~/.factory/mcp.json', ...MCP_SERVERS },
      { scope: 'project', file: '{project}/.factory/mcp.json', ...MCP_SERVERS, shared: true },
    ],
    ungoverned: [SHELL],
    reload: NEW_SESSION,
    source: 'run with version 0.215.0',
    checked: CHECKED,
  },
];
