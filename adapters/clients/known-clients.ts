// Which clients there are and where each keeps its servers, as data. Nothing is asked of a client itself.
// A client that is not listed is not found; one whose files have another form is reported and left alone.

import type { TextFormat } from './edit-text.ts';
import { EDITOR_CLIENTS } from './editor-clients.ts';
import type { ShapeName } from './shapes.ts';
import { TERMINAL_CLIENTS } from './terminal-clients.ts';

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
  /** The client looks in every folder above the one that it is started in, and not only up to that of the repository. */
  readonly above?: true;
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

/** In the order in which a file that two of them read is given to one. */
export const KNOWN_CLIENTS: readonly KnownClient[] = [...TERMINAL_CLIENTS, ...EDITOR_CLIENTS];
