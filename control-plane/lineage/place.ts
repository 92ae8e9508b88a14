// What is known of a call when it joins a tree, and where it then stands.

import type { Digest } from '../../domain/digest.ts';
import type { CallId } from '../../domain/ids.ts';
import type { Scope } from '../../domain/scope.ts';
import type { ScopedCall } from './scope.ts';

/** What becomes of a call without a token: denied, put under the one call that its process works on, or the start of a chain. */
export type Unsaid = 'deny' | 'infer' | 'root';

export interface AgentTerms {
  /** Whether this agent may start a chain. */
  readonly root: boolean;
  readonly unsaid: Unsaid;
  /** What a chain that it starts may do at most; the policy alone decides when absent. */
  readonly scope?: Scope;
}

/** A token that was verified: whose it is and that it may be presented here is known. What it points at is looked up. */
export type Presented =
  | { readonly from: 'self'; readonly root: CallId; readonly node: CallId; readonly digest: Digest }
  | ({ readonly from: 'peer' } & RemoteParent);

/** An execution of a trusted peer, as its token says. */
export interface RemoteParent {
  readonly issuer: string;
  readonly root: CallId;
  readonly node: CallId;
  readonly depth: number;
  readonly chain: Digest;
  readonly scopes: readonly Scope[];
  /** The servers that the chain came to, and the agents that called. */
  readonly servers: readonly string[];
  readonly agents: readonly string[];
  /** On this gate's monotonic clock, in milliseconds. */
  readonly deadline: number;
}

/** A round of a call that ended because it needed an answer first. */
export interface EarlierRound {
  readonly call: CallId;
  /** Where it stood: whatever goes on with it stands there too. */
  readonly root: CallId;
  readonly parent: CallId | null;
  readonly issuer?: string;
  /** What it handed on at most. */
  readonly narrowed?: Scope;
  /** The rounds before it, from the first on. */
  readonly before: readonly CallId[];
}

export interface Joining {
  readonly call: CallId;
  readonly agent: string;
  readonly terms: AgentTerms;
  readonly target: ScopedCall;
  /** SHA-256 of who calls what with which arguments: equal steps are the same call. Worked out where there is a chain; never leaves the gate. */
  readonly step: () => Digest;
  /** Its link in the hash chain, on top of the parent's. Worked out where it hands on. */
  readonly link: (above: Digest | undefined) => Digest;
  readonly presented?: Presented;
  /** The round that it goes on with. That it may is known; its chain may be over or revoked meanwhile. */
  readonly continues?: EarlierRound;
  /** The process that the connection belongs to, where it is one that we started. */
  readonly process?: string;
  /** Monotonic, in milliseconds. */
  readonly now: number;
  readonly timeoutMs: number;
}

export type Origin = 'root' | 'token' | 'inferred' | 'peer';

/** Where an execution stands. */
export interface Place {
  readonly root: CallId;
  readonly node: CallId;
  readonly parent: CallId | null;
  /** Others that the calling process works on: their limits hold too. */
  readonly joined: readonly CallId[];
  readonly depth: number;
  readonly origin: Origin;
  /** When the time of what is above it is over; infinite for a root. */
  readonly deadline: number;
  readonly scopes: readonly Scope[];
  /** The servers of the chain, from the root's to its own. */
  readonly servers: readonly string[];
  /** The agents from the root's to the parent's, and the parent's link in the hash chain; nothing of it at a root. */
  readonly agents: readonly string[];
  readonly above: Digest | undefined;
  /** The peer that the parent runs at. */
  readonly issuer: string | undefined;
}

/** What an execution hands on to those under it: chain and names end with its own. */
export interface Standing {
  readonly root: CallId;
  readonly node: CallId;
  readonly depth: number;
  readonly deadline: number;
  readonly scopes: readonly Scope[];
  readonly servers: readonly string[];
  readonly agents: readonly string[];
  readonly chain: Digest;
}

export interface Starting {
  readonly now: number;
  /** The process that carries it out, where it is one that we started. */
  readonly process?: string;
  /** Less than it has, for whatever it calls. */
  readonly narrowing?: Scope;
  /** Of the token that the callee gets. */
  readonly token?: Digest;
}
