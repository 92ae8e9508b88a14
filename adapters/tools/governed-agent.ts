// An agent of this program as the gate knows it: a principal with one conversation, or one call that it carries out. Whatever it calls is decided,
// permitted and recorded like the call of any client, and the way back from there is the only one to a value.

import { AsyncLocalStorage } from 'node:async_hooks';
import { type Denial, type DenialCode, deny } from '../../domain/denial.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import type { Scope } from '../../domain/scope.ts';
import type { CallEnd } from '../../proxy/client-view.ts';
import type { Conversation, Participation } from '../../proxy/conversation.ts';
import { operationOf } from '../../proxy/operation.ts';
import { LINEAGE_KEY, SCOPE_KEY } from '../../proxy/own-name.ts';
import { PLAIN_MANNER } from '../../proxy/tool-server.ts';
import { RoundsOfCall } from '../downstream/legacy/rounds.ts';
import { Denied } from './denied.ts';
import { jsonValue } from './json-value.ts';
import { keepAlive } from './keep-alive.ts';
import { ARGUMENT_LIMITS } from './limits.ts';
import type { ToolGate } from './ports.ts';
import { ToolFailed } from './tool-failed.ts';
import type { CallContext } from './tool-function.ts';
import { returnedBy } from './value-answer.ts';

export interface CallOptions {
  /** Cancels the call. */
  readonly signal?: AbortSignal | undefined;
  /** What the callee may do on behalf of the call at most. It can only narrow. */
  readonly scope?: Scope | undefined;
}

/** What a call came to. */
export interface Answer {
  /** What a function returned; of another server's tool its structured content, or its text. */
  readonly value: Json | undefined;
  /** The same for a model. */
  readonly text: string;
  /** The result as the tool gave it, in the words of the protocol. */
  readonly result: JsonObject;
  /** The id under which the ledger has the call, and the number of its last entry. */
  readonly call: string;
  readonly entry: number;
}

/** A tool as a model is told of it. */
export interface OfferedTool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: JsonObject;
}

/** The gates of which a function runs here, one within the other. Only asked whether there is one: for which call, the function has been told. */
const RUNNING = new AsyncLocalStorage<Running>();

interface Running {
  readonly gate: ToolGate;
  readonly outer: Running | undefined;
}

function isRunning(gate: ToolGate): boolean {
  for (let running = RUNNING.getStore(); running !== undefined; running = running.outer)
    if (running.gate === gate) return true;
  return false;
}

const ALONE: Participation = { onProgress: () => {}, onLog: () => {}, client: undefined };

export class GovernedAgent {
  readonly #gate: ToolGate;
  readonly #conversation: Conversation;
  /** Of the call that it carries out; undefined where it begins chains of its own. */
  readonly #token: string | undefined;

  constructor(gate: ToolGate, agent: string, token?: string) {
    this.#gate = gate;
    this.#conversation = gate.conversation(agent);
    this.#token = token;
  }

  /** As the manifest names it. */
  get name(): string {
    return this.#conversation.principal.agent;
  }

  /**
   * Calls a tool by its qualified name: `server__tool`. Throws `Denied` where it may not, or its answer may not be released, and `ToolFailed` where
   * it ran and failed.
   */
  async call(name: string, args: unknown = {}, { signal, scope }: CallOptions = {}): Promise<Answer> {
    if (this.#gate.isClosed) throw this.#closed();
    const copied = jsonValue(args, ARGUMENT_LIMITS);
    if (!copied.ok) {
      const code = copied.reason === 'too_large' ? 'MESSAGE_TOO_LARGE' : 'ARG_NOT_REPRESENTABLE';
      throw await this.refuse(code, copied.detail);
    }
    if (!isJsonObject(copied.value)) throw await this.refuse('ARG_INVALID', 'the arguments are not an object');
    // Which of several calls a function works for cannot be guessed, and it is not the beginning of anything.
    if (this.#token === undefined && isRunning(this.#gate))
      throw await this.refuse('LINEAGE_MISSING', 'a governed function calls by the agent in its context');
    const _meta: JsonObject = {
      ...(this.#token === undefined ? {} : { [LINEAGE_KEY]: this.#token }),
      ...(scope === undefined ? {} : { [SCOPE_KEY]: scope as unknown as Json }),
    };
    const params: JsonObject = { name, arguments: copied.value, _meta };
    await this.#gate.whenReady();
    const operation = await operationOf(this.#conversation, { method: 'tools/call', params }, PLAIN_MANNER);
    if ('code' in operation) throw await this.#refused(operation);
    if (signal?.aborted === true) throw await this.refuse('CANCELLED', 'before it began');
    if (!this.#conversation.hasRoom()) throw await this.refuse('OVERLOADED', 'too many calls in flight');
    if (this.#gate.isClosed) throw this.#closed();
    const rounds = new RoundsOfCall(this.#conversation, operation, ALONE);
    const withdraw = (): void => rounds.withdraw();
    signal?.addEventListener('abort', withdraw, { once: true });
    const end = await rounds.end;
    signal?.removeEventListener('abort', withdraw);
    return this.#answer(end, operation.server);
  }

  /** The tools that rules could let this agent call, on every server of the gate, as they were pinned. */
  async definitions(): Promise<readonly OfferedTool[]> {
    if (this.#gate.isClosed) return [];
    await this.#gate.whenReady();
    const tools = await keepAlive(this.#conversation.tools());
    return tools.map(({ name, description, inputSchema }) => ({
      name: String(name),
      description: typeof description === 'string' ? description : '',
      inputSchema: isJsonObject(inputSchema) ? inputSchema : { type: 'object' },
    }));
  }

  /** Records that something was refused which could not become a call. Never rejects. */
  refuse(code: DenialCode, detail: string): Promise<Denied> {
    return this.#refused(deny(code, detail));
  }

  async #refused(denial: Denial): Promise<Denied> {
    if (this.#gate.isClosed) return this.#closed();
    const call = await this.#conversation.refuse(denial, 'tools/call');
    return new Denied({ kind: 'denied', call, code: denial.code, executed: 'no', recorded: true }, this.#gate.hints);
  }

  #closed(): Denied {
    const end = { kind: 'denied', call: '', code: 'GOV_HALTED', executed: 'no', recorded: false } as const;
    return new Denied(end, this.#gate.hints);
  }

  #answer(end: CallEnd, server: string): Answer {
    switch (end.kind) {
      case 'denied':
        throw new Denied(end, this.#gate.hints);
      case 'error':
        throw new ToolFailed(end.error.message, end.receipt);
      case 'result': {
        const { result, receipt } = end;
        const text = textOf(result);
        if (end.type !== 'complete') throw new ToolFailed(`the answer is a ${end.type}, which has no value`, receipt);
        if (result.isError === true) throw new ToolFailed(text, receipt);
        const value = this.#gate.servers.has(server) ? returnedBy(result) : (result.structuredContent ?? text);
        const told = typeof value === 'string' ? value : JSON.stringify(value ?? null);
        return { value, text: told, result, call: receipt.call, entry: receipt.entry };
      }
    }
  }
}

/** Runs a function for a call: it gets an agent that calls for that call, and any other one of this gate is of no use to it. */
export function within<Value>(
  gate: ToolGate,
  agent: string,
  call: Omit<CallContext, 'agent'>,
  work: (context: CallContext) => Value,
): Value {
  const context = Object.freeze({ ...call, agent: new GovernedAgent(gate, agent, call.lineage) });
  return RUNNING.run({ gate, outer: RUNNING.getStore() }, () => work(context));
}

/** The text of a result; whatever else it has is named. */
function textOf({ content }: JsonObject): string {
  const blocks = Array.isArray(content) ? (content as readonly JsonObject[]) : [];
  return blocks.map((block) => (typeof block.text === 'string' ? block.text : `[${String(block.type)}]`)).join('\n');
}
