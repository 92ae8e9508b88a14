// Puts functions of a program behind a gate. What comes back looks like them and is not them: every call is decided, permitted, recorded and bounded
// first, and the functions themselves are known to nobody but the server that they became.

import { definitionOf } from './definition.ts';
import { type CallOptions, GovernedAgent, within } from './governed-agent.ts';
import { FUNCTIONS_MAX } from './limits.ts';
import type { ToolGate } from './ports.ts';
import type { AnyToolFunction, ArgumentsOf, ToolFunctions, ValueOf } from './tool-function.ts';

export interface GovernOptions {
  /** An agent of the manifest with `auth: local`: it calls, and the functions call as it where their server is no agent of its own. */
  readonly agent: string;
  /** A server of the manifest with `inProcess`: the functions become its tools. */
  readonly server: string;
}

/** The functions, governed. Each throws `Denied` or `ToolFailed`, and yields a copy of what the function returned. */
export type GovernedTools<Functions> = {
  readonly [Name in keyof Functions]: (
    args: ArgumentsOf<Functions[Name]>,
    options?: CallOptions,
  ) => Promise<ValueOf<Functions[Name]>>;
};

export interface Governed<Functions> {
  readonly tools: GovernedTools<Functions>;
  /** Calls these and whatever else rules let it call, by qualified names; what vendors' adapters take. */
  readonly agent: GovernedAgent;
}

/** Throws a TypeError where a function cannot be a tool, where the manifest has no such agent or server, or where the server has its functions. */
export function govern<const Functions extends ToolFunctions>(
  functions: Functions,
  { inProcess: gate }: { readonly inProcess: ToolGate },
  { agent: name, server: serverName }: GovernOptions,
): Governed<Functions> {
  const server = gate.servers.get(serverName);
  if (server === undefined) throw new TypeError(`the manifest has no server "${serverName}" with "inProcess"`);
  const entries = Object.entries<AnyToolFunction>(functions).map(([key, tool]) => [key, { ...tool }] as const);
  if (entries.length === 0 || entries.length > FUNCTIONS_MAX)
    throw new TypeError(`a server has 1 to ${FUNCTIONS_MAX} functions`);
  const exposed = (key: string): string => `${serverName}__${key}`;
  const definitions = entries.map(([key, tool]) => definitionOf(exposed(key), key, tool));
  const agent = new GovernedAgent(gate, name);
  const actsAs = gate.agentOf(serverName) ?? name;
  gate.conversation(actsAs);
  server.provide({
    agent: actsAs,
    functions: new Map(entries),
    definitions,
    within: (call, work) => within(gate, actsAs, call, work),
  });
  const wrapped = entries.map(([key]) => [
    key,
    async (args: unknown, options?: CallOptions) => (await agent.call(exposed(key), args, options)).value,
  ]);
  // One wrapper for each function, under its name: what they take and yield is what the functions do, as data.
  return Object.freeze({ tools: Object.freeze(Object.fromEntries(wrapped)) as GovernedTools<Functions>, agent });
}

/** An agent of the manifest that has no functions of its own here: it calls what rules let it call. Throws where the manifest has none of that name. */
export function agentOf({ inProcess: gate }: { readonly inProcess: ToolGate }, agent: string): GovernedAgent {
  return new GovernedAgent(gate, agent);
}
