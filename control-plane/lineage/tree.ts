// The executions under one root, and the ways up and down among them. Nothing is decided here.

import type { Digest } from '../../domain/digest.ts';
import type { CallId } from '../../domain/ids.ts';
import type { Scope } from '../../domain/scope.ts';
import type { Origin, Place } from './place.ts';
import type { RevokedThing } from './ports.ts';

export interface Node {
  readonly call: CallId;
  readonly agent: string;
  readonly server: string;
  /** `actionId` of what it calls. */
  readonly action: string;
  readonly tree: Tree;
  readonly parents: readonly Node[];
  readonly children: Set<Node>;
  readonly depth: number;
  readonly servers: readonly string[];
  readonly agents: readonly string[];
  readonly steps: readonly (() => Digest)[];
  readonly chain: () => Digest;
  readonly timeoutMs: number;
  /** The rounds that it goes on with, from the first on. What revokes one of them revokes it. */
  readonly rounds: readonly CallId[];
  /** At a peer: it runs as long as the peer says so. */
  readonly issuer: string | undefined;
  /** Before it runs, that of what is above it; a root has none then. */
  deadline: number;
  scopes: readonly Scope[];
  state: 'joined' | 'running' | 'ended';
  revoked: boolean;
  /** Children in its life. */
  born: number;
  token: Digest | undefined;
  process: string | undefined;
}

export interface Tree {
  readonly key: string;
  readonly root: CallId;
  readonly nodes: Set<Node>;
  /** Executions of this gate in its life. */
  size: number;
  /** Executions that have not ended, peers' included. */
  open: number;
}

/** Most calls stand alone, and are never asked for what only a chain needs. */
export function once<T extends string>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** A peer may use ids that are used here. */
export function keyOf({ issuer, call }: Pick<Node, 'issuer' | 'call'>): string {
  return issuer === undefined ? call : `${issuer}|${call}`;
}

export function depthUnder(parents: readonly Node[]): number {
  return parents.reduce((deepest, { depth }) => Math.max(deepest, depth + 1), 0);
}

/** Everything above, each once. */
export function above(parents: readonly Node[]): ReadonlySet<Node> {
  const seen = new Set(parents);
  for (const node of seen) for (const parent of node.parents) seen.add(parent);
  return seen;
}

/** These and everything below, each once, from the top. */
export function allUnder(nodes: Iterable<Node>): ReadonlySet<Node> {
  const seen = new Set(nodes);
  for (const node of seen) for (const child of node.children) seen.add(child);
  return seen;
}

/** These and everything below that is open, each once, from the top. */
export function openUnder(nodes: Iterable<Node>): readonly Node[] {
  return [...allUnder(nodes)].filter(({ state }) => state !== 'ended');
}

export function callsOf(nodes: readonly Node[]): readonly CallId[] {
  return nodes.filter(({ issuer }) => issuer === undefined).map(({ call }) => call);
}

export function isMeant(node: Node, kind: RevokedThing, id: string): boolean {
  switch (kind) {
    case 'root':
      return node.tree.root === id;
    case 'node':
      return node.call === id || node.rounds.some((round) => round === id);
    case 'agent':
      return node.agent === id;
    case 'server':
      return node.server === id;
    case 'tool':
      return node.action === id;
  }
}

export function placeOf(node: Node, origin: Origin): Place {
  const [parent, ...joined] = node.parents;
  return {
    root: node.tree.root,
    node: node.call,
    parent: parent?.call ?? null,
    joined: joined.map(({ call }) => call),
    depth: node.depth,
    origin,
    deadline: node.deadline,
    scopes: node.scopes,
    servers: node.servers,
    agents: parent?.agents ?? [],
    above: parent?.chain(),
    issuer: parent?.issuer,
  };
}
