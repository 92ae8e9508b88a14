// What two gates have told each other of their executions in one session: which of ours may have calls under them over there, and which of theirs here.
// What is said must make sense after what was said before; a peer that says what cannot be is not believed any more. A peer may stop the chains
// that it has a part in, and can do nothing else to ours. Pure.

import type { Digest } from '../../domain/digest.ts';
import type { Announced, FeedEvent, LedgerPosition } from '../../domain/feed-message.ts';
import type { CallId } from '../../domain/ids.ts';

/** Executions that were said to be running and have no `closed` yet, in each direction. As many as a gate has calls in flight. */
export const EXECUTIONS_MAX = 1_024;
/** Calls that join one execution in its life. More than any gate lets a tree have. */
const JOINED_MAX = 1_000;
/** Executions of which it is remembered that they ended, and chains of which it is that they were stopped. */
const REMEMBERED_MAX = 4_096;

/** An execution of the peer. */
export interface Heard {
  readonly root: CallId;
  readonly token: Digest;
  readonly entry: LedgerPosition;
  /** On our monotonic clock. */
  readonly deadline: number;
  state: 'running' | 'revoked' | 'ended';
}

/** What is to be done about something that was heard. */
export type Consequence =
  | { readonly type: 'heard'; readonly node: CallId }
  /** Everything under the peer's execution is to be stopped; with `close`, the peer waits for that. */
  | { readonly type: 'gone'; readonly node: CallId; readonly revoked: boolean; readonly close: boolean }
  | { readonly type: 'joined'; readonly node: CallId; readonly child: CallId; readonly entry: LedgerPosition }
  | { readonly type: 'closed'; readonly node: CallId }
  | { readonly type: 'stop'; readonly kind: 'root' | 'node'; readonly id: CallId };

/** An execution of ours that the peer knows. */
interface Told {
  readonly root: CallId;
  revoked: boolean;
  ended: boolean;
  /** The peer's calls under it. */
  readonly joined: Set<CallId>;
}

export class Dealings {
  /** Ours. */
  readonly #told = new Map<CallId, Told>();
  /** Theirs. */
  readonly #heard = new Map<CallId, Heard>();
  readonly #ended = new Set<CallId>();
  /** What was stopped, whoever said so: nobody is told twice. */
  readonly #stopped = new Set<string>();

  /** One of ours may be shown over there. Undefined where it cannot be: too many are. */
  running(announced: Announced): FeedEvent | undefined {
    if (this.#told.size >= EXECUTIONS_MAX || this.#told.has(announced.node)) return undefined;
    this.#told.set(announced.node, { root: announced.root, revoked: false, ended: false, joined: new Set() });
    return { type: 'running', ...announced };
  }

  /** What is said first: everything of ours that runs. */
  snapshot(running: readonly Announced[]): FeedEvent {
    for (const { node, root } of running)
      this.#told.set(node, { root, revoked: false, ended: false, joined: new Set() });
    return { type: 'snapshot', running };
  }

  get hasRoom(): boolean {
    return this.#told.size < EXECUTIONS_MAX;
  }

  isTold(node: CallId): boolean {
    return this.#told.has(node);
  }

  /** Those of ours of which nothing else was said yet than that they run. */
  told(): readonly CallId[] {
    return [...this.#told].filter(([, { ended }]) => !ended).map(([node]) => node);
  }

  /** One of ours is over. Undefined where nobody over there knew of it. */
  ended(node: CallId): FeedEvent | undefined {
    const told = this.#told.get(node);
    if (told === undefined || told.ended) return undefined;
    told.ended = true;
    return { type: 'ended', node };
  }

  revoked(node: CallId): FeedEvent | undefined {
    const told = this.#told.get(node);
    // It may be revoked in several ways before it has ended.
    if (told === undefined || told.ended || told.revoked) return undefined;
    told.revoked = true;
    return { type: 'revoked', node };
  }

  /** A call of ours is about to be made under one of theirs. */
  joined(node: CallId, child: CallId, entry: LedgerPosition): FeedEvent | undefined {
    return this.#heard.has(node) ? { type: 'joined', node, child, entry } : undefined;
  }

  /** Everything here under one of theirs that is over has ended. */
  closed(node: CallId): FeedEvent | undefined {
    if (this.#heard.get(node)?.state !== 'ended') return undefined;
    this.#heard.delete(node);
    remember(this.#ended, node);
    return { type: 'closed', node };
  }

  /** A chain was revoked here; undefined where none of the peer's executions is meant, or it knows. */
  stop(kind: 'root' | 'node', id: CallId): FeedEvent | undefined {
    const isMeant = kind === 'node' ? this.#heard.has(id) : has(this.#heard.values(), id);
    if (!isMeant || this.#stopped.has(id)) return undefined;
    remember(this.#stopped, id);
    return kind === 'node' ? { type: 'stop', node: id } : { type: 'stop', root: id };
  }

  /** What the peer says of one of its executions. */
  find(node: CallId): Heard | undefined {
    return this.#heard.get(node);
  }

  state(node: CallId): 'running' | 'revoked' | 'ended' | 'unknown' {
    return this.#heard.get(node)?.state ?? (this.#ended.has(node) ? 'ended' : 'unknown');
  }

  /** Takes what was heard; undefined where it cannot be. `monotonic` is our clock. */
  take(event: FeedEvent, monotonic: number): readonly Consequence[] | undefined {
    switch (event.type) {
      case 'beat':
        return [];
      case 'snapshot':
        return event.running.every((one) => this.#keep(one, monotonic))
          ? event.running.map(({ node }) => ({ type: 'heard', node }))
          : undefined;
      case 'running':
        return this.#keep(event, monotonic) ? [{ type: 'heard', node: event.node }] : undefined;
      case 'revoked':
      case 'ended': {
        const heard = this.#heard.get(event.node);
        const isFirst = heard !== undefined && heard.state !== 'ended' && heard.state !== event.type;
        if (!isFirst) return undefined;
        heard.state = event.type;
        const isEnded = event.type === 'ended';
        return [{ type: 'gone', node: event.node, revoked: !isEnded, close: isEnded }];
      }
      case 'joined': {
        const { node, child, entry } = event;
        const joined = this.#told.get(node)?.joined;
        if (joined === undefined || joined.has(child) || joined.size >= JOINED_MAX) return undefined;
        joined.add(child);
        return [{ type: 'joined', node, child, entry }];
      }
      case 'closed':
        if (this.#told.get(event.node)?.ended !== true) return undefined;
        this.#told.delete(event.node);
        return [{ type: 'closed', node: event.node }];
      case 'stop': {
        const [kind, id] = 'node' in event ? (['node', event.node] as const) : (['root', event.root] as const);
        if (kind === 'node' ? !this.#told.has(id) : !has(this.#told.values(), id)) return undefined;
        remember(this.#stopped, id);
        return [{ type: 'stop', kind, id }];
      }
    }
  }

  #keep({ root, node, token, entry, left }: Announced, monotonic: number): boolean {
    if (this.#heard.size >= EXECUTIONS_MAX || this.#heard.has(node) || this.#ended.has(node)) return false;
    this.#heard.set(node, { root, token, entry, deadline: monotonic + left, state: 'running' });
    return true;
  }
}

function has(executions: Iterable<{ readonly root: CallId }>, root: CallId): boolean {
  for (const one of executions) if (one.root === root) return true;
  return false;
}

function remember(known: Set<string>, id: string): void {
  known.add(id);
  const [oldest] = known;
  if (known.size > REMEMBERED_MAX && oldest !== undefined) known.delete(oldest);
}
