// Which server a conversation speaks with: the one that all share, or, of a server that is kept apart, one of its own that nobody else ever
// reaches; and of one that is kept apart by chains, each chain of calls has its own. Its own is started when it is first needed, ends with the
// conversation or the chain, and must offer what was pinned. No call passes here, and nothing is decided but that.

import { type Denial, deny } from '../domain/denial.ts';
import type { CallId } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import { OWN_SERVERS_MAX, OWN_SERVERS_PER_AGENT_MAX } from './limits.ts';
import { OwnServer, type OwnServerPorts } from './own-server.ts';
import type { Asking, Era, Notice, OfferKind, Question, ServerDescription, ToolServer } from './tool-server.ts';

/** A server of which every conversation gets one of its own, or every chain of calls. */
export interface ApartServer extends Pick<OwnServerPorts, 'compare' | 'compareWhole'> {
  /** Outside of any call a conversation has one of its own in any case. */
  readonly by?: 'conversation' | 'chain';
  /** What was found out when it was asked what it offers; undefined until then. */
  readonly description: ServerDescription | undefined;
  readonly fault?: Denial | undefined;
  /** Another one of it for a conversation of this agent, which is not started. */
  make(agent: string): ToolServer;
}

export interface ServerPoolPorts {
  readonly shared: (name: string) => ToolServer | undefined;
  /** Undefined where all conversations share one. */
  readonly apart?: (name: string) => ApartServer | undefined;
  /** What this machine lacks for a server, which is therefore never started. */
  readonly lacks?: (name: string) => string | undefined;
  /** Pending while a shared server was ended by us and is started again. Resolves in any case. */
  readonly returning?: (name: string) => Promise<void> | undefined;
  /** Something of a conversation's own server that belongs to no call. */
  readonly onNotice?: (server: string, notice: Notice, conversation: object) => void;
  /** What such a server asks within no call. */
  readonly onQuestion?: (server: string, question: Question, conversation: object) => Asking | undefined;
  /** Such a server ended by itself. */
  readonly onEnded?: (server: string) => void;
  /** Such a server can take calls. */
  readonly onReady?: (server: string, conversation: object) => void;
  /** For the operator. */
  readonly note?: (text: string) => void;
}

/** Who needs a server. */
export interface Customer {
  /** Compared by identity only. Undefined is nobody: it has no server of its own. */
  readonly conversation: object | undefined;
  readonly agent: string;
  readonly era: Era;
}

export class ServerPool {
  readonly #ports: ServerPoolPorts;
  readonly #own = new Map<object, Map<string, OwnServer>>();
  /** What a chain's own servers are kept under, by its root. */
  readonly #chains = new Map<CallId, object>();
  /** Servers of their own that are not gone, by agent. */
  readonly #ofAgent = new Map<string, number>();
  #size = 0;
  readonly #ended = new WeakSet<object>();
  readonly #ending = new Set<Promise<void>>();
  #stopped = false;

  constructor(ports: ServerPoolPorts) {
    this.#ports = ports;
  }

  /** What is known of a server, or undefined while it is not there. */
  description(name: string): ServerDescription | undefined {
    const apart = this.#apart(name);
    return apart === undefined ? this.#ports.shared(name)?.description : apart.description;
  }

  /** Why there is no description of it. */
  absence(name: string): Denial {
    const lacking = this.#ports.lacks?.(name);
    if (lacking !== undefined) return deny('SANDBOX_MISSING', lacking);
    const apart = this.#apart(name);
    return (apart === undefined ? this.#ports.shared(name)?.fault : apart.fault) ?? deny('SERVER_UNAVAILABLE', name);
  }

  /** The server that takes this conversation's calls now. Undefined: there is none, or it did not show yet that it is the pinned one. */
  of(name: string, conversation: object | undefined): ToolServer | undefined {
    if (this.#apart(name) === undefined) return this.#ports.shared(name);
    return conversation === undefined ? undefined : this.#own.get(conversation)?.get(name)?.verified;
  }

  /** Whether calls of a conversation go to a server of its own. */
  isOwn(name: string): boolean {
    const apart = this.#apart(name);
    return apart !== undefined && apart.by !== 'chain';
  }

  /** To whom alone the server belongs that a conversation speaks with; undefined where all share it. */
  scope(name: string, conversation: object): object | undefined {
    return this.#apart(name) === undefined ? undefined : conversation;
  }

  /** Who has the server of a call to himself: its conversation, or the chain that it is part of. */
  holder(name: string, conversation: object, root: CallId): object {
    if (this.#apart(name)?.by !== 'chain') return conversation;
    const chain = this.#chains.get(root) ?? {};
    this.#chains.set(root, chain);
    return chain;
  }

  /** A chain is over: its own servers are stopped. */
  endChain(root: CallId): void {
    const chain = this.#chains.get(root);
    this.#chains.delete(root);
    if (chain !== undefined) void this.end(chain);
  }

  hasChain(root: CallId): boolean {
    return this.#chains.has(root);
  }

  /** Has a shared server make ready for a client of this era. One of its own is made ready for its client when it starts. Never rejects. */
  async meet(name: string, era: Era): Promise<void> {
    if (this.#apart(name) === undefined) await this.#ports.shared(name)?.meet?.(era);
  }

  /** A shared server that was ended because of one call is waited for by the next, which has nothing to do with that. Never rejects. */
  async returned(name: string): Promise<void> {
    if (this.#apart(name) === undefined) await this.#ports.returning?.(name);
  }

  /** Starts the conversation's own server where it needs one. Resolves when it is there, or with the reason why it is not. Never rejects. */
  async ready(name: string, customer: Customer): Promise<Denial | undefined> {
    const apart = this.#apart(name);
    if (apart === undefined) return undefined;
    const own = this.#open(name, apart, customer);
    return own instanceof OwnServer ? own.ready(customer.era) : own;
  }

  /** Reads a list whole. Rejects with a plain explanation. */
  async list(name: string, kind: OfferKind, customer: Customer): Promise<readonly JsonObject[]> {
    const refused = await this.ready(name, customer);
    const server = this.of(name, customer.conversation);
    if (refused !== undefined || server === undefined) throw new Error(refused?.detail ?? 'the server is not there');
    return server.list(kind);
  }

  /** All that belong to one conversation or chain alone. */
  own(): readonly OwnServer[] {
    return [...this.#own.values()].flatMap((servers) => [...servers.values()]);
  }

  /** The conversation is over: its own servers are stopped, and it never gets another. Resolves when nothing of them is left. */
  async end(conversation: object): Promise<void> {
    this.#ended.add(conversation);
    const own = [...(this.#own.get(conversation)?.values() ?? [])];
    this.#own.delete(conversation);
    const ending = Promise.all(own.map((server) => this.#stop(server))).then(() => {
      this.#ending.delete(ending);
    });
    this.#ending.add(ending);
    await ending;
  }

  /** Stops every server that is a conversation's own, and starts none any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const conversation of [...this.#own.keys()]) void this.end(conversation);
    await Promise.all(this.#ending);
  }

  #apart(name: string): ApartServer | undefined {
    return this.#ports.apart?.(name);
  }

  #open(name: string, apart: ApartServer, { conversation, agent }: Customer): OwnServer | Denial {
    if (conversation === undefined || this.#stopped || this.#ended.has(conversation))
      return deny('SERVER_UNAVAILABLE', 'the conversation has ended');
    const servers = this.#own.get(conversation) ?? new Map<string, OwnServer>();
    const known = servers.get(name);
    if (known !== undefined) return known;
    const ofAgent = this.#ofAgent.get(agent) ?? 0;
    if (this.#size >= OWN_SERVERS_MAX || ofAgent >= OWN_SERVERS_PER_AGENT_MAX)
      return deny('OVERLOADED', `too many conversations have a server ${name} or another of their own`);
    this.#size += 1;
    this.#ofAgent.set(agent, ofAgent + 1);
    const { onNotice, onQuestion, onReady, onEnded, note } = this.#ports;
    const server = new OwnServer(apart.make(agent), agent, {
      compare: apart.compare,
      compareWhole: apart.compareWhole,
      onNotice: (notice) => onNotice?.(name, notice, conversation),
      onQuestion: (question) => onQuestion?.(name, question, conversation),
      onReady: () => onReady?.(name, conversation),
      onEnded: () => onEnded?.(name),
      note: (text) => note?.(text),
    });
    this.#own.set(conversation, servers.set(name, server));
    return server;
  }

  /** It counts until nothing of it is left. */
  async #stop(server: OwnServer): Promise<void> {
    await server.stop();
    this.#size -= 1;
    const others = (this.#ofAgent.get(server.agent) ?? 1) - 1;
    if (others > 0) this.#ofAgent.set(server.agent, others);
    else this.#ofAgent.delete(server.agent);
  }
}
