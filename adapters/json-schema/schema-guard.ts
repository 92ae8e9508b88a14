// Whether values fit the schemas of tools, asked of threads that can be ended. Servers whose schema once took too long have a thread to themselves, so that
// they hold up each other and nobody else.

import { serverOfAction } from '../../domain/action.ts';
import type { Denial } from '../../domain/denial.ts';
import type { SchemaKind } from './check-messages.ts';
import { type CheckBudget, type CheckFile, CheckThread } from './check-thread.ts';
import { isWorkable, tameSize } from './tame.ts';
import type { ToolSchemas } from './tool-schemas.ts';

export class SchemaGuard {
  readonly #good: CheckThread;
  readonly #slow: CheckThread;
  readonly #slowServers = new Set<string>();
  #tools: ReadonlyMap<string, ToolSchemas> = new Map();
  #tame: ReadonlyMap<string, number | undefined> = new Map();

  constructor(budget?: CheckBudget, file?: CheckFile) {
    this.#good = new CheckThread(budget, file);
    this.#slow = new CheckThread(budget, file);
  }

  /** Which tools there are from now on, by the id of their action. */
  serve(tools: ReadonlyMap<string, ToolSchemas>): void {
    this.#tools = tools;
    this.#tame = new Map([...tools].map(([action, { inputSchema }]) => [action, tameSize(inputSchema)]));
    this.#good.serve(tools);
    this.#slow.serve(tools);
    const isNeeded = [...tools].some(
      ([action, { outputSchema }]) => outputSchema !== undefined || this.#tame.get(action) === undefined,
    );
    if (isNeeded) this.#good.warm();
  }

  /** Whether the arguments of a call could hold up whoever checks them. False where the tool is not known: there is nothing to check. */
  holdsUp(action: string, characters: number): boolean {
    return this.#tools.has(action) && !isWorkable(this.#tame.get(action), characters);
  }

  /** Why the value does not fit, or could not be checked; undefined when it fits. Never rejects. */
  async check(kind: SchemaKind, action: string, json: string): Promise<Denial | undefined> {
    const server = serverOfAction(action);
    const thread = server !== undefined && this.#slowServers.has(server) ? this.#slow : this.#good;
    const { outcome, denial } = await thread.check(kind, action, json);
    if (outcome === 'overran' && server !== undefined) this.#slowServers.add(server);
    return denial;
  }

  async close(): Promise<void> {
    await Promise.all([this.#good.close(), this.#slow.close()]);
  }
}
