// Calls of which nobody knows whether they ran: the server was lost, the time was over, the gate died, authority was taken away while they ran. The
// same call again could do it twice, so it is refused until a person has looked; unless it may be repeated without harm.
// "The same" is the same agent, server, tool and arguments, told by a keyed digest: what is kept here gives nothing away. This remembers and answers.
// Where that is kept is in cli/unknown-calls.ts, what a person says of it comes through there.

import { TOOL_METHOD } from '../domain/action.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import { type Denial, deny } from '../domain/denial.ts';
import type { JsonObject } from '../domain/json.ts';
import { mayHaveRun, type Outcome } from '../domain/outcome.ts';
import type { CapturedCall } from './captured-call.ts';
import { UNKNOWN_CALLS_MAX, UNKNOWN_CALLS_PER_AGENT_MAX } from './limits.ts';

export type UnknownCall = {
  readonly call: string;
  /** Milliseconds since 1970 when it was captured. */
  readonly at: number;
  readonly agent: string;
  readonly server: string;
  readonly tool: string;
  /** Why nobody knows. */
  readonly code: string;
  /** Names the agent, the server, the tool and the arguments at once. */
  readonly same: string;
};

/** What makes two calls the same one. */
export interface SameCall {
  readonly agent: string;
  readonly server: string;
  readonly tool: string;
  /** Canonical JSON. */
  readonly argumentsJson: string;
}

export interface UnknownCallPorts {
  /** A digest that nobody can make, or compare with a guess, without the key. */
  readonly digest: (text: string) => string;
  /** Resolves once it outlives the gate. */
  readonly keep: (calls: readonly UnknownCall[]) => Promise<void>;
  /** What gates of the same name beside this one keep. Rejects when that is not known. */
  readonly beside: () => Promise<readonly UnknownCall[]>;
  /** Whether a person has looked at a call that is kept beside. */
  readonly isSettled: (call: string) => boolean;
  /** Whether the tool can be called twice: the definition that was approved says so, or the operator does. */
  readonly mayRepeat: (server: string, tool: string) => boolean;
}

/** What a runner tells, and what admission asks. */
export interface RetryGuard {
  /** Resolves once a call that may have run would be known again, whatever becomes of the gate. Rejects when that is not sure. */
  ended(call: CapturedCall, outcome: Outcome, events: readonly JsonObject[]): Promise<void>;
  /** Why this call has to wait for a person. Never rejects. */
  refusal(call: CapturedCall): Promise<Denial | undefined>;
}

export function sameCall({ agent, server, tool, argumentsJson }: SameCall): string {
  return `portcullis/same-call/v1\n${canonicalJson([agent, server, tool])}\n${argumentsJson}`;
}

export class UnknownCalls implements RetryGuard {
  readonly #ports: UnknownCallPorts;
  readonly #calls = new Map<string, UnknownCall>();
  /** Everything asked for before one write begins is in that write. */
  #kept: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(ports: UnknownCallPorts) {
    this.#ports = ports;
  }

  /** Takes up what was kept. */
  resume(calls: readonly UnknownCall[]): void {
    for (const call of calls) this.#calls.set(call.call, call);
  }

  all(): readonly UnknownCall[] {
    return [...this.#calls.values()];
  }

  async ended(call: CapturedCall, outcome: Outcome, events: readonly JsonObject[]): Promise<void> {
    if (!isGoverned(call) || !mayHaveRun(outcome, events) || this.#ports.mayRepeat(call.server, call.tool)) return;
    const { agent } = call.principal;
    const { server, tool, argumentsJson } = call;
    const code = outcome.code ?? 'CRASH_INDETERMINATE';
    await this.note([{ call: call.call, at: call.at, agent, server, tool, argumentsJson, code }]);
  }

  /** Resolves once they are kept. One that is kept already stays as it is. */
  async note(calls: readonly (SameCall & Pick<UnknownCall, 'call' | 'at' | 'code'>)[]): Promise<void> {
    const fresh = calls.filter(({ call }) => !this.#calls.has(call));
    for (const { argumentsJson, ...told } of fresh) {
      const same = this.#ports.digest(sameCall({ ...told, argumentsJson }));
      const { call, at, agent, server, tool, code } = told;
      // Beyond the bounds none is kept, and none is needed: `refusal` refuses them all.
      if (!this.#isFull(agent)) this.#calls.set(call, { call, at, agent, server, tool, code, same });
    }
    if (fresh.length > 0) await this.#keep();
  }

  async refusal(call: CapturedCall): Promise<Denial | undefined> {
    if (!isGoverned(call)) return undefined;
    const { server, tool, argumentsJson } = call;
    const { agent } = call.principal;
    if (this.#ports.mayRepeat(server, tool)) return undefined;
    if (this.#isFull(agent)) return deny('RETRY_OF_UNKNOWN', 'too many calls wait for a person');
    let beside: readonly UnknownCall[];
    try {
      beside = await this.#ports.beside();
    } catch (error) {
      return deny('RETRY_OF_UNKNOWN', `what gates beside this one know cannot be read: ${String(error)}`);
    }
    const own = this.all();
    if (own.length + beside.length === 0) return undefined;
    const same = this.#ports.digest(sameCall({ agent, server, tool, argumentsJson }));
    const found =
      own.find((one) => one.same === same) ??
      beside.find((one) => one.same === same && !this.#ports.isSettled(one.call));
    return found === undefined ? undefined : deny('RETRY_OF_UNKNOWN', `${found.call} ended with ${found.code}`);
  }

  /** A person has looked. Resolves with the call once it is kept no more; undefined where it never was. */
  async settle(call: string): Promise<UnknownCall | undefined> {
    const settled = this.#calls.get(call);
    if (settled === undefined) return undefined;
    this.#calls.delete(call);
    await this.#keep();
    return settled;
  }

  /** Forgets calls of tools that may be repeated: before their definitions were known nobody could say so. */
  async forgetRepeatable(server: string): Promise<void> {
    const before = this.#calls.size;
    for (const one of this.all())
      if (one.server === server && this.#ports.mayRepeat(server, one.tool)) this.#calls.delete(one.call);
    if (this.#calls.size < before) await this.#keep();
  }

  #isFull(agent: string): boolean {
    if (this.#calls.size >= UNKNOWN_CALLS_MAX) return true;
    if (this.#calls.size < UNKNOWN_CALLS_PER_AGENT_MAX) return false;
    return this.all().filter((one) => one.agent === agent).length >= UNKNOWN_CALLS_PER_AGENT_MAX;
  }

  #keep(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    const next = this.#kept.then(() => {
      this.#next = undefined;
      return this.#ports.keep(this.all());
    });
    this.#next = next;
    this.#kept = next.catch(() => undefined);
    return next;
  }
}

/** Only what a tool does can be done twice: lists, prompts and resources are read, and questions are asked of a client. */
function isGoverned({ method, askedThrough }: CapturedCall): boolean {
  return method === TOOL_METHOD && askedThrough === undefined;
}

/** What an approved definition says of a tool: that it changes nothing, or nothing more the second time. */
export function saysRepeatable(definition: JsonObject | undefined): boolean {
  const hints = definition?.annotations;
  if (typeof hints !== 'object' || hints === null || Array.isArray(hints)) return false;
  const { readOnlyHint, idempotentHint } = hints as JsonObject;
  return readOnlyHint === true || idempotentHint === true;
}
