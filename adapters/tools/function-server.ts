// A server whose tools are functions of this program. To the gate it is a server like any: it is described, pinned, and handed a call when that was
// permitted and recorded. Nobody else has the functions. It cannot make one stop: it tells it to, and takes nothing from it any more.

import { Defect } from '../../domain/defect.ts';
import type { JsonObject } from '../../domain/json.ts';
import { readLineageToken } from '../../domain/lineage-token.ts';
import { RPC } from '../../proxy/jsonrpc.ts';
import { LINEAGE_KEY } from '../../proxy/own-name.ts';
import type {
  Dispatch,
  ServerChange,
  ServerDescription,
  ToolAnswer,
  ToolDefinition,
  ToolRun,
  ToolServer,
} from '../../proxy/tool-server.ts';
import { EXECUTIONS_MAX, STOP_GRACE_MS } from './limits.ts';
import { isStandardSchema, issuesText } from './standard-schema.ts';
import type { AnyToolFunction, CallContext } from './tool-function.ts';
import { answerOf, failureOf } from './value-answer.ts';

export interface ProvidedFunctions {
  /** Whom the functions act as when they call others. */
  readonly agent: string;
  readonly functions: ReadonlyMap<string, AnyToolFunction>;
  readonly definitions: readonly ToolDefinition[];
  /** Begins a function for a call, with everything that it begins known to be part of that call. */
  readonly within: <Value>(call: Omit<CallContext, 'agent'>, work: (context: CallContext) => Value) => Value;
}

type Started = { settle(description: ServerDescription): void; fail(reason: Error): void };

export class FunctionServer implements ToolServer {
  readonly name: string;
  #provided: ProvidedFunctions | undefined;
  #providedAt: number | undefined;
  #description: ServerDescription | undefined;
  readonly #starting = new Set<Started>();
  readonly #stoppers = new Set<(reason: string) => void>();
  #executions = 0;
  #stopped = false;

  constructor(name: string) {
    this.name = name;
  }

  get description(): ServerDescription | undefined {
    return this.#stopped ? undefined : this.#description;
  }

  /** Whom its functions act as; undefined before there are any. */
  get agent(): string | undefined {
    return this.#provided?.agent;
  }

  /** When it was given its functions, on the monotonic clock of the platform. */
  get providedAt(): number | undefined {
    return this.#providedAt;
  }

  /** Gives it its functions, once. Throws a TypeError where it has some. */
  provide(provided: ProvidedFunctions): void {
    if (this.#provided !== undefined) throw new TypeError(`the server "${this.name}" has its functions already`);
    this.#provided = provided;
    this.#providedAt = performance.now();
    const description: ServerDescription = {
      name: this.name,
      protocolVersion: '2025-11-25',
      serverInfo: { name: this.name, version: '1' },
      capabilities: { tools: {} },
      tools: provided.definitions,
    };
    this.#description = description;
    for (const { settle } of this.#starting) settle(description);
    this.#starting.clear();
  }

  /** Resolves when it has been given its functions. */
  async start(): Promise<ServerDescription> {
    this.#stopped = false;
    if (this.#description !== undefined) return this.#description;
    return new Promise((settle, fail) => this.#starting.add({ settle, fail }));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { fail } of this.#starting) fail(new Error('it was stopped before it had functions'));
    this.#starting.clear();
    for (const stop of this.#stoppers) stop('shutdown');
  }

  async list(): Promise<readonly JsonObject[]> {
    return [];
  }

  onChange(_listener: (change: ServerChange) => void): void {}
  onNotice(): void {}

  dispatch({ method, body, meta, outputBytesMax }: Dispatch): ToolRun {
    const provided = this.#provided;
    if (provided === undefined || this.#stopped) return ended(unavailable('it has no functions'));
    if (method !== 'tools/call')
      return ended({ kind: 'error', error: { code: RPC.methodNotFound, message: method }, bytes: method.length });
    if (this.#executions >= EXECUTIONS_MAX)
      return ended({ kind: 'refused', code: 'OVERLOADED', detail: 'too many executions that have not ended' });
    const { name, arguments: args } = JSON.parse(body) as { readonly name: string; readonly arguments: JsonObject };
    const lineage = String(meta[LINEAGE_KEY] ?? '');
    const call = callOf(lineage);
    const controller = new AbortController();
    let settle: (answer: ToolAnswer) => void = () => {};
    const answer = new Promise<ToolAnswer>((resolve) => {
      settle = resolve;
    });
    const stop = (reason: string): void => {
      if (controller.signal.aborted) return;
      controller.abort(new Error(reason));
      // Whatever it does from here on, its call is over soon.
      setTimeout(() => settle({ kind: 'lost', detail: `told to stop: ${reason}` }), STOP_GRACE_MS).unref();
    };
    this.#stoppers.add(stop);
    void answer.then(() => this.#stoppers.delete(stop));
    const { signal } = controller;
    // Behind this tick: what the function does at once must find its call running.
    queueMicrotask(() => {
      if (signal.aborted) return settle(unavailable('stopped before it began'));
      this.#executions += 1;
      void this.#execute(provided, name, args, { signal, lineage, call }, outputBytesMax).then((result) => {
        this.#executions -= 1;
        settle(result);
      });
    });
    return { answer, cancel: stop };
  }

  /** Never rejects. */
  async #execute(
    { functions, within }: ProvidedFunctions,
    name: string,
    args: JsonObject,
    call: Omit<CallContext, 'agent'>,
    bytesMax: number,
  ): Promise<ToolAnswer> {
    const tool = functions.get(name);
    if (tool === undefined) return failureOf(`Unknown tool: ${name}`, bytesMax);
    try {
      return await within(call, async (context) => {
        const { inputSchema, outputSchema } = tool;
        let given: unknown = args;
        if (isStandardSchema(inputSchema)) {
          const read = await inputSchema['~standard'].validate(args);
          if (read.issues !== undefined) return failureOf(`The arguments are not valid: ${issuesText(read)}`, bytesMax);
          given = read.value;
        }
        // What the definition says of its arguments was checked before the call was permitted, and by the schema itself just now.
        const value = await tool.execute(given as never, context);
        return answerOf(value, outputSchema !== undefined, bytesMax);
      });
    } catch (thrown) {
      return failureOf(messageOf(thrown), bytesMax);
    }
  }
}

function ended(answer: ToolAnswer): ToolRun {
  return { answer: Promise.resolve(answer), cancel: () => {} };
}

function unavailable(detail: string): ToolAnswer {
  return { kind: 'refused', code: 'SERVER_UNAVAILABLE', detail };
}

/** The call that a token was made for: the gate made it a moment ago. */
function callOf(token: string): string {
  const { claims } = readLineageToken(token).payload();
  if (claims === undefined) throw new Defect('a governed function without a lineage token');
  return claims.lin.node;
}

/** What was thrown can be anything, and looking at it can throw too. */
function messageOf(thrown: unknown): string {
  try {
    if (!(thrown instanceof Error)) return String(thrown);
    return thrown.name === 'Error' ? String(thrown.message) : `${String(thrown.name)}: ${String(thrown.message)}`;
  } catch {
    return 'it threw something that cannot be read';
  }
}
