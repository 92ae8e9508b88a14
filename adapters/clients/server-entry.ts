// What a client's configuration says of one MCP server, read into one form whatever the client's own spelling is. An entry that cannot be
// understood whole is "other", with the reason: it is left alone. Values of `env` and `headers` are secrets: never show them.

/** The ways in which a remote server is reached. */
export type RemoteTransport = 'http' | 'sse' | 'ws';

/** Why an entry is left as it is. */
export type LeftAlone =
  /** Switched off in the client. */
  | 'disabled'
  /** Its command, arguments or address hold a variable that only the client can fill in. */
  | 'expanded'
  /** Not an MCP server of its own: built into the client or brought along by an extension. */
  | 'built-in'
  /** A setting that a gate in between could not honour. */
  | 'unsupported'
  /** Not the form this client is known to use. */
  | 'unknown-shape';

export interface StdioEntry {
  readonly kind: 'stdio';
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Names of variables that the client hands on from its own environment or key store. */
  readonly forwarded: readonly string[];
}

export interface RemoteEntry {
  readonly kind: 'remote';
  readonly transport: RemoteTransport;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Variables of the client's environment whose values are sent as headers, by header. */
  readonly headersFrom: Readonly<Record<string, string>>;
  /** The one that is sent as a bearer token. */
  readonly bearerFrom?: string;
}

/** Goes through a gate already: ours, or that of another installation. */
export interface WrappedEntry {
  readonly kind: 'wrapped';
  /** The path or the name of the program that is started as the gate. */
  readonly gate: string;
  readonly agent?: string;
  readonly name?: string;
  /** The server's own command, for an entry that gives one after `--`. */
  readonly line?: { readonly command: string; readonly args: readonly string[] };
  /** Switched off in the client, whoever it would go through. */
  readonly disabled: boolean;
}

export interface OtherEntry {
  readonly kind: 'other';
  readonly reason: LeftAlone;
  /** One sentence without secrets. May hold hostile text from the file: show it with visibleText. */
  readonly why: string;
  /** What its owner can do so that it can be governed. */
  readonly hint: string;
}

export type ServerEntry = StdioEntry | RemoteEntry | WrappedEntry | OtherEntry;

/** How the gate is to be started in place of the server. `env` is given for a remote server: its header values, under new names. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Names of variables that the client is to hand on from its own environment, where it was to send them before. */
  readonly forwarded?: readonly string[];
}

/** The variables of the client's own environment whose values it sends, by name. */
export function sentVariables({ headersFrom, bearerFrom }: RemoteEntry): string[] {
  return [...new Set([...Object.values(headersFrom), ...(bearerFrom === undefined ? [] : [bearerFrom])])];
}
