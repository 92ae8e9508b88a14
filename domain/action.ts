// What can be asked to be done: the governed methods of MCP, and the one name that each governed message has in rules, revocations and logs.
// What the gate does with every other method is proxy/method-table.ts.

/** The method that carries a tool's name of its own. Every other governed method is its own target. */
export const TOOL_METHOD = 'tools/call';

/** Who asks whom. */
export type MethodDirection = 'client to server' | 'server to client';

/** Every governed method and its direction. Closed: what is not here is never decided, so it is never carried. */
export const GOVERNED_METHODS = {
  'tools/call': 'client to server',
  'prompts/get': 'client to server',
  'resources/read': 'client to server',
  'resources/subscribe': 'client to server',
  'resources/unsubscribe': 'client to server',
  'completion/complete': 'client to server',
  'tasks/get': 'client to server',
  'tasks/result': 'client to server',
  'tasks/update': 'client to server',
  'tasks/cancel': 'client to server',
  'sampling/createMessage': 'server to client',
  'elicitation/create': 'server to client',
  'roots/list': 'server to client',
} as const satisfies Record<string, MethodDirection>;

export type GovernedMethod = keyof typeof GOVERNED_METHODS;
/** A governed method other than `tools/call`. */
export type PlainMethod = Exclude<GovernedMethod, typeof TOOL_METHOD>;

/** Exact match only: no case folding, no trimming. */
export function isGovernedMethod(method: string): method is GovernedMethod {
  return Object.hasOwn(GOVERNED_METHODS, method);
}

/** The governed methods without `tools/call`, in the order of the list. */
export const PLAIN_METHODS: readonly PlainMethod[] = Object.keys(GOVERNED_METHODS).filter(
  (method): method is PlainMethod => method !== TOOL_METHOD,
);

/**
 * The id of an action: `server/tool` for a tool, `server:method` for every other method. The name of a server has neither `/` nor `:`, so
 * the first of the two says which it is: no two actions have one id, whatever a server calls its tools.
 */
export function actionId(method: string, server: string, tool: string): string {
  return method === TOOL_METHOD ? `${server}/${tool}` : `${server}:${method}`;
}

/** The group of all tools of a server: what a rule names that is about them and about no other method. */
export function toolsOf(server: string): string {
  return `${server}:${TOOL_METHOD}`;
}

/** The server in the id of an action or of `toolsOf`; undefined for a text that has not the form of one. */
export function serverOfAction(id: string): string | undefined {
  const end = id.search(/[/:]/);
  return end < 1 || end === id.length - 1 ? undefined : id.slice(0, end);
}

/** What an id of an action names; undefined for a text that has not the form of one. Whether the method or the tool exists is not asked. */
export function parseActionId(
  id: string,
): { readonly method: string; readonly server: string; readonly tool: string } | undefined {
  const server = serverOfAction(id);
  if (server === undefined || id === toolsOf(server)) return undefined;
  const tool = id.slice(server.length + 1);
  return { method: id[server.length] === '/' ? TOOL_METHOD : tool, server, tool };
}
