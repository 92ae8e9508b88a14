// Which clients there are and where each keeps its servers, as data. An entry here makes a client known; nothing is asked of the client itself.

import type { TextFormat } from './edit-text.ts';
import type { ShapeName } from './shapes.ts';

export type Platform = 'linux' | 'darwin' | 'win32';
export type Scope = 'user' | 'project' | 'local';

/** One set of servers inside one kind of file. */
export interface Place {
  readonly scope: Scope;
  /** Absent: on all of them. */
  readonly platforms?: readonly Platform[];
  /**
   * Begins with `~`, `{NAME|~/usual}` (the variable of that name, else the usual folder), or a folder of the platform: `{support}`,
   * `{config}`, `{localappdata}`, `{project}`; see client-paths.ts. Written with `/`; `*` is a folder of any name.
   */
  readonly file: string;
  readonly format: TextFormat;
  /** Keys down to the servers; `*` stands for every key there, the folder of a project. */
  readonly at: readonly string[];
  readonly shape: ShapeName;
  /** The servers are a list whose items have a `name`, not a map by name. */
  readonly list?: true;
  /** The file belongs to a repository and is shared with others. */
  readonly shared?: true;
  /** The scope of the same client that shadows an entry of the same name here and belongs to this user alone. */
  readonly privateOverride?: Scope;
}

export interface KnownClient {
  /** The agent's id in the manifest: lower case, with hyphens. */
  readonly id: string;
  readonly title: string;
  readonly places: readonly Place[];
  /** What of it never passes a gate: built-in tools, connectors. */
  readonly ungoverned: readonly string[];
  /** What its user does so that a changed file takes effect. */
  readonly reload: string;
  /** Where the paths and fields were read, and the date of that. */
  readonly source: string;
  readonly checked: string;
}

const CHECKED = '2026-11';

export const KNOWN_CLIENTS: readonly KnownClient[] = [
  {
    id: 'claude-code',
    title: 'Claude Code',
    places: [
      {
        scope: 'user',
        file: '{CLAUDE_CONFIG_DIR|~}/.claude.json',
        format: 'json',
        at: ['mcpServers'],
        shape: 'standard',
      },
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
        format: 'json',
        at: ['mcpServers'],
        shape: 'standard',
        shared: true,
        privateOverride: 'local',
      },
    ],
    ungoverned: [
      'built-in tools (Bash, Edit, WebFetch and others)',
      'connectors of claude.ai',
      'servers of plugins',
      'managed-mcp.json',
    ],
    reload: 'in a running session: /mcp, then reconnect; or start a new session',
    source: 'run with version 2.1.329',
    checked: CHECKED,
  },
  {
    id: 'cursor',
    title: 'Cursor',
    places: [
      { scope: 'user', file: '~/.cursor/mcp.json', format: 'jsonc', at: ['mcpServers'], shape: 'standard' },
      {
        scope: 'project',
        file: '{project}/.cursor/mcp.json',
        format: 'jsonc',
        at: ['mcpServers'],
        shape: 'standard',
        shared: true,
      },
    ],
    ungoverned: ['built-in tools (terminal, edits, search)'],
    reload: 'restart Cursor',
    source: 'public sources of three other tools',
    checked: CHECKED,
  },
];
