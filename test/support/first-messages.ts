// How clients that are widely used begin a conversation, and how others that are older, newer or careless do: what they say of themselves, what
// they ask before and after, and how they speak HTTP. As seen on the wire in November 2026; none of it is a rule of the protocol.

import type { JsonObject } from '../../domain/json.ts';

export interface FirstMessages {
  readonly client: string;
  /** The params of `initialize`; undefined for one that only speaks without a handshake. */
  readonly hello?: JsonObject;
  /** The id of its first request. */
  readonly firstId?: number | string;
  /** Requests before the handshake, whatever they are answered with. */
  readonly before?: readonly Said[];
  /** Everything up to the list of tools goes out at once, where the transport allows it. */
  readonly atOnce?: true;
  /** Between `initialize` and the list of tools; `notifications/initialized` stands where it is sent. */
  readonly between?: readonly Said[];
  /** Of a tools/list. */
  readonly listMeta?: JsonObject;
  /** Of a tools/call; without a handshake, of a tools/list too. */
  readonly meta?: JsonObject;
  /** After the call, whatever it is answered with. */
  readonly after?: readonly Said[];
  /** The revision that is agreed. */
  readonly agreed?: string;
  readonly http?: SpokenHttp;
  /** Said of everything on a line of standard input. */
  readonly lineEnd?: string;
}

/** A request or a notification. */
export interface Said {
  readonly method: string;
  readonly params?: JsonObject;
  readonly notification?: true;
  /** The next number of its own when absent. */
  readonly id?: string;
}

export interface SpokenHttp {
  readonly accept?: string;
  readonly contentType?: string;
  /** Paths asked for before the first POST. */
  readonly looks?: readonly { readonly path: string; readonly headers?: Readonly<Record<string, string>> }[];
  /** Whether requests name the agreed revision; the revisions before 2025-06-18 have no such header. */
  readonly namesRevision?: false;
  /** Opens the stream for what belongs to no request. */
  readonly listens?: true;
  /** Ends its session. */
  readonly deletes?: true;
}

const initialized: Said = { method: 'notifications/initialized', notification: true };
const ask = (method: string, params?: JsonObject): Said => ({ method, ...(params === undefined ? {} : { params }) });
const tell = (method: string, params?: JsonObject): Said => ({ ...ask(method, params), notification: true });

const EVENTS = { accept: 'text/event-stream' };
const ROOTS = { roots: { listChanged: true } };

function envelope(clientInfo: JsonObject, capabilities: JsonObject): JsonObject {
  return {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': clientInfo,
    'io.modelcontextprotocol/clientCapabilities': capabilities,
  };
}

const CLAUDE_INFO = {
  name: 'claude-code',
  title: 'Claude Code',
  version: '2.1.330',
  description: 'An agentic coding tool',
  websiteUrl: 'https://claude.com/claude-code',
};
const CLAUDE_CAPABILITIES = { ...ROOTS, elicitation: { form: {}, url: {} } };
const CLAUDE_ENVELOPE = envelope(CLAUDE_INFO, CLAUDE_CAPABILITIES);
const COPILOT_ENVELOPE = envelope(
  { name: 'copilot-cli', version: '1.0.102' },
  { sampling: {}, elicitation: { form: {}, url: {} } },
);
const EVERY_LIST = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };

export const CLIENTS: readonly FirstMessages[] = [
  {
    client: 'Claude Code',
    firstId: 0,
    before: [
      { ...ask('server/discover', { _meta: CLAUDE_ENVELOPE }), id: 'server-discover-probe-1' },
      { ...ask('subscriptions/listen', { notifications: EVERY_LIST, _meta: CLAUDE_ENVELOPE }), id: 'listen:0' },
      ask('server/discover', { _meta: CLAUDE_ENVELOPE }),
      ask('prompts/list', { _meta: CLAUDE_ENVELOPE }),
      ask('resources/list', { _meta: CLAUDE_ENVELOPE }),
    ],
    meta: { ...CLAUDE_ENVELOPE, 'claudecode/toolUseId': 'toolu_01', progressToken: 3 },
  },
  {
    client: 'Claude Code that asks for 2026-07-28 first and then goes back',
    hello: { protocolVersion: '2025-11-25', capabilities: CLAUDE_CAPABILITIES, clientInfo: CLAUDE_INFO },
    firstId: 0,
    before: [{ ...ask('server/discover', { _meta: CLAUDE_ENVELOPE }), id: 'server-discover-probe-1' }],
    between: [initialized, ask('prompts/list'), ask('resources/list'), tell('notifications/roots/list_changed')],
    meta: { 'claudecode/toolUseId': 'toolu_01', progressToken: 3 },
    after: [tell('notifications/cancelled', { requestId: 77, reason: 'AbortError: user-cancel' })],
    http: { listens: true, deletes: true },
  },
  {
    client: 'Claude Desktop',
    hello: { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'claude-ai', version: '0.1.0' } },
    firstId: 0,
    between: [initialized, ask('resources/list', {}), ask('prompts/list', {})],
    http: { namesRevision: false },
  },
  {
    client: 'Codex',
    hello: {
      protocolVersion: '2025-06-18',
      capabilities: {
        elicitation: { form: {}, url: {} },
        experimental: { 'codex/auth-change': {} },
      },
      clientInfo: { name: 'codex-mcp-client', title: 'Codex', version: '0.169.0' },
    },
    firstId: 0,
    between: [initialized],
    listMeta: { progressToken: 0 },
    meta: {
      callId: 'call_1',
      'x-codex-turn-metadata': { turn_id: 't1', turn_started_at_unix_ms: 1795279167491, sandbox: 'seccomp' },
      progressToken: 1,
    },
    http: {
      accept: 'text/event-stream, application/json',
      looks: [
        { path: '/.well-known/oauth-authorization-server/mcp', headers: { 'mcp-protocol-version': '2024-11-05' } },
        { path: '/.well-known/oauth-authorization-server', headers: { 'mcp-protocol-version': '2024-11-05' } },
        { path: '/mcp/.well-known/oauth-authorization-server', headers: { 'mcp-protocol-version': '2024-11-05' } },
        { path: '/mcp', headers: EVENTS },
      ],
      listens: true,
      deletes: true,
    },
  },
  {
    client: 'Gemini CLI',
    hello: {
      protocolVersion: '2025-06-18',
      capabilities: ROOTS,
      clientInfo: { name: 'gemini-cli-mcp-client', version: '0.61.0' },
    },
    firstId: 0,
    between: [initialized, ask('ping'), ask('prompts/list', {}), ask('tools/list', {}), ask('resources/list', {})],
    meta: { progressToken: '710c53a4-4bba-4fa6-8fb0-cca8cc22c93f' },
    http: { namesRevision: false, listens: true },
  },
  {
    client: 'Cursor',
    hello: {
      protocolVersion: '2025-11-25',
      capabilities: {
        tools: true,
        prompts: true,
        resources: true,
        logging: false,
        elicitation: {},
        roots: { listChanged: false },
        extensions: { 'io.modelcontextprotocol/ui': { mimeTypes: ['text/html;profile=mcp-app'] } },
      },
      clientInfo: { name: 'cursor-vscode', version: '1.0.0' },
    },
    firstId: 0,
    between: [initialized, ask('prompts/list'), ask('resources/list'), ask('resources/templates/list')],
    http: { listens: true },
  },
  {
    client: 'Visual Studio Code',
    hello: {
      protocolVersion: '2025-11-25',
      capabilities: {
        ...ROOTS,
        sampling: {},
        elicitation: { form: {}, url: {} },
        tasks: { list: {}, cancel: {}, requests: { sampling: { createMessage: {} }, elicitation: { create: {} } } },
        extensions: { 'io.modelcontextprotocol/ui': { mimeTypes: ['text/html;profile=mcp-app'] } },
      },
      clientInfo: { name: 'Visual Studio Code', version: '1.132.0' },
    },
    firstId: 1,
    between: [initialized, ask('logging/setLevel', { level: 'info' }), ask('prompts/list', {})],
    meta: { progressToken: 'f6b2b0f0-6a0b', 'vscode.conversationId': 'c', 'vscode.requestId': 'r' },
    http: { accept: 'text/event-stream, application/json', listens: true },
  },
  {
    client: 'opencode',
    hello: {
      protocolVersion: '2025-11-25',
      capabilities: { roots: {} },
      clientInfo: { name: 'opencode', version: '1' },
    },
    firstId: 0,
    between: [initialized],
    meta: { progressToken: 2 },
    // It withdraws what is answered already.
    after: [tell('notifications/cancelled', { requestId: 2, reason: 'Request timed out' }), ask('ping')],
  },
  {
    client: 'Cline',
    hello: { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: '@cline/core', version: '3.0.65' } },
    between: [initialized],
    http: { namesRevision: false, listens: true },
  },
  {
    client: 'a client of 2025-03-26 that waits for nothing',
    hello: { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'hasty', version: '0' } },
    atOnce: true,
    between: [initialized],
    http: { namesRevision: false },
  },
  {
    client: 'a client that lists before it is initialized',
    hello: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'early', version: '0' } },
    firstId: 'first',
    before: [ask('ping'), ask('tools/list'), ask('server/discover')],
    between: [ask('tools/list'), ask('tools/list', {}), ask('ping', {}), initialized, initialized],
    http: { looks: [{ path: '/mcp', headers: EVENTS }, { path: '/sse', headers: EVENTS }, { path: '/' }] },
    lineEnd: '\r\n',
  },
  {
    client: 'a client of a revision to come',
    hello: {
      protocolVersion: '2099-01-01',
      capabilities: { telepathy: { range: 1e3 }, sampling: { later: [] } },
      clientInfo: { name: 'later', version: '9', later: { '': null } },
      later: true,
      _meta: { 'later.example/x': 1 },
    },
    agreed: '2025-11-25',
    between: [initialized],
    http: {
      accept: 'application/json;q=0.9, text/event-stream;q=0.8, */*;q=0.1',
      contentType: 'application/json; charset=UTF-8',
    },
  },
  {
    client: 'a client that says hello in the words of 2026-07-28',
    hello: { protocolVersion: '2026-07-28', capabilities: {}, clientInfo: { name: 'mixed', version: '0' } },
    agreed: '2025-11-25',
    between: [initialized],
  },
  {
    client: 'a client that says hello twice',
    hello: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'polite', version: '0' } },
    between: [
      initialized,
      ask('initialize', {
        protocolVersion: '2024-11-05',
        capabilities: {},
        clientInfo: { name: 'polite', version: '0' },
      }),
    ],
    lineEnd: '\n\n',
  },
  {
    client: 'a client that says nothing of itself',
    hello: { protocolVersion: '1.0' },
    agreed: '2025-11-25',
    http: { namesRevision: false },
  },
  {
    client: 'Copilot CLI',
    before: [
      ask('server/discover', { _meta: COPILOT_ENVELOPE }),
      ask('subscriptions/listen', { notifications: { toolsListChanged: true }, _meta: COPILOT_ENVELOPE }),
    ],
    meta: { progressToken: 5, ...COPILOT_ENVELOPE },
  },
  {
    client: 'a client of 2026-07-28 that does not ask who is there',
    firstId: 'a',
    meta: {
      ...envelope({ name: 'direct', version: '0' }, {}),
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    },
    http: { accept: 'text/event-stream;q=0.5,application/json' },
  },
];
