// What in-process tools need of a gate. Whoever composes a gate for a program implements it.

import type { OperatorHints } from '../../proxy/client-view.ts';
import type { Conversation } from '../../proxy/conversation.ts';
import type { Enforcement } from '../../proxy/enforcement.ts';
import type { FunctionServer } from './function-server.ts';

export interface ToolGate {
  readonly enforcement: Enforcement;
  readonly hints: OperatorHints;
  /** Nothing is called any more, and nothing can be recorded. */
  readonly isClosed: boolean;
  /** Resolves when no server is waited for any more: calls and lists that come before that wait. The process does not end meanwhile. */
  whenReady(): Promise<void>;
  /** The servers of the manifest whose tools are functions. */
  readonly servers: ReadonlyMap<string, FunctionServer>;
  /** The agent of the manifest that this server is, where it is one. */
  agentOf(server: string): string | undefined;
  /** The one conversation of an agent of the manifest in this program. Throws where the manifest has none of that name, or not in this program. */
  conversation(agent: string): Conversation;
}
