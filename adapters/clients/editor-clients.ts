// Clients with a window: desktop programs and editors, and the extensions that keep servers of their own.

import type { KnownClient, Place } from './known-clients.ts';

const CHECKED = '2026-11';
const EDITOR = 'built-in tools (terminal, edits, search)';

/** The same file below the user's folder of VS Code and of its Insiders edition. */
function inVsCode(file: string, rest: Omit<Place, 'file' | 'scope'>): Place[] {
  return ['Code', 'Code - Insiders'].map((product) => ({
    scope: 'user',
    file: `{support}/${product}/User/${file}`,
    ...rest,
  }));
}

const SERVERS = { format: 'jsonc', at: ['servers'], shape: 'vscode' } as const;
const MCP_SERVERS = { format: 'jsonc', at: ['mcpServers'], shape: 'standard' } as const;

export const EDITOR_CLIENTS: readonly KnownClient[] = [
  {
    id: 'claude-desktop',
    title: 'Claude Desktop',
    places: [
      { scope: 'user', file: '{support}/Claude/claude_desktop_config.json', ...MCP_SERVERS, format: 'json' },
      {
        scope: 'user',
        platforms: ['linux'],
        file: '{support}/claude/claude_desktop_config.json',
        ...MCP_SERVERS,
        format: 'json',
      },
    ],
    ungoverned: ['connectors', 'desktop extensions', 'built-in tools'],
    reload: 'quit Claude Desktop and open it again',
    source: 'sources of other tools',
    checked: CHECKED,
  },
  {
    id: 'cursor',
    title: 'Cursor',
    places: [
      { scope: 'user', file: '~/.cursor/mcp.json', ...MCP_SERVERS },
      { scope: 'project', file: '{project}/.cursor/mcp.json', ...MCP_SERVERS, shared: true },
    ],
    ungoverned: [EDITOR, 'servers that an extension registers'],
    reload: 'restart Cursor',
    source: 'sources of other tools',
    checked: CHECKED,
  },
  {
    id: 'vscode',
    title: 'VS Code',
    places: [
      ...inVsCode('mcp.json', SERVERS),
      ...inVsCode('profiles/*/mcp.json', SERVERS),
      { scope: 'project', file: '{project}/.vscode/mcp.json', ...SERVERS, shared: true },
    ],
    ungoverned: [EDITOR, 'servers that an extension registers', 'servers found in files of other clients'],
    reload: 'run "MCP: List Servers" and restart the server, or reload the window',
    source: "the vendor's documentation",
    checked: CHECKED,
  },
  {
    id: 'windsurf',
    title: 'Windsurf',
    places: [
      { scope: 'user', file: '~/.codeium/windsurf/mcp_config.json', ...MCP_SERVERS, shape: 'windsurf' },
      { scope: 'user', file: '~/.codeium/mcp_config.json', ...MCP_SERVERS, shape: 'windsurf' },
    ],
    ungoverned: [EDITOR],
    reload: 'press refresh in the list of MCP servers, or restart Windsurf',
    source: 'sources of other tools',
    checked: CHECKED,
  },
  {
    id: 'zed',
    title: 'Zed',
    places: [
      { scope: 'user', platforms: ['linux'], file: '{config}/zed/settings.json' },
      { scope: 'user', platforms: ['linux'], file: '~/.var/app/dev.zed.Zed/config/zed/settings.json' },
      { scope: 'user', platforms: ['darwin'], file: '~/.config/zed/settings.json' },
      { scope: 'user', platforms: ['win32'], file: '{support}/Zed/settings.json' },
      { scope: 'project', file: '{project}/.zed/settings.json', shared: true },
    ].map((place) => ({ ...place, format: 'jsonc', at: ['context_servers'], shape: 'zed' }) as Place),
    ungoverned: [
      EDITOR,
      'servers that an extension brings along',
      'agents that run inside Zed with settings of their own',
    ],
    reload: 'Zed starts changed servers by itself',
    source: "the client's own source",
    checked: CHECKED,
  },
  {
    id: 'cline',
    title: 'Cline (VS Code)',
    places: inVsCode('globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json', {
      ...MCP_SERVERS,
      shape: 'cline',
    }),
    ungoverned: ['built-in tools (commands, files, browser)'],
    reload: 'Cline restarts changed servers by itself',
    source: 'sources of other tools',
    checked: CHECKED,
  },
  {
    id: 'roo-code',
    title: 'Roo Code',
    places: [
      ...inVsCode('globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json', {
        ...MCP_SERVERS,
        shape: 'cline',
      }),
      { scope: 'project', file: '{project}/.roo/mcp.json', ...MCP_SERVERS, shape: 'cline', shared: true },
    ],
    ungoverned: ['built-in tools (commands, files, browser)'],
    reload: 'Roo Code restarts changed servers by itself',
    source: 'sources of other tools',
    checked: CHECKED,
  },
  {
    id: 'junie',
    title: 'JetBrains Junie',
    places: [
      { scope: 'user', file: '~/.junie/mcp/mcp.json', ...MCP_SERVERS },
      { scope: 'project', file: '{project}/.junie/mcp/mcp.json', ...MCP_SERVERS, shared: true },
    ],
    ungoverned: ['built-in tools', 'servers of AI Assistant, which are kept in the settings of the IDE'],
    reload: 'reopen the list of MCP servers in the settings of the IDE',
    source: 'general knowledge, the paths are not confirmed',
    checked: CHECKED,
  },
  {
    id: 'lm-studio',
    title: 'LM Studio',
    places: [
      { scope: 'user', file: '~/.lmstudio/mcp.json', ...MCP_SERVERS },
      { scope: 'user', file: '~/.cache/lm-studio/mcp.json', ...MCP_SERVERS },
    ],
    ungoverned: ['plugins'],
    reload: 'LM Studio starts changed servers by itself',
    source: 'sources of other tools',
    checked: CHECKED,
  },
];
