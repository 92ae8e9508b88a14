// What the registry of lineage should do, said again in the plainest way: a list of everything that ever was, and questions answered by walking all
// of it. Slow, and written for the tests alone.

import { isWithin, permits, type ScopedCall } from '../../control-plane/lineage/scope.ts';
import type { Scope } from '../../domain/scope.ts';

export interface Past {
  readonly call: string;
  readonly agent: string;
  readonly target: ScopedCall;
  readonly step: string;
  readonly parents: readonly string[];
  readonly root: string;
  /** What joined while nothing of the chain was open began anew to count: another tree under the same root. */
  readonly tree: string;
  /** The rounds that it goes on with. */
  readonly rounds: readonly string[];
  readonly timeoutMs: number;
  deadline: number;
  scopes: readonly Scope[];
  process?: string | undefined;
  started: boolean;
  ended: boolean;
  revoked: boolean;
}

export interface Wish {
  readonly call: string;
  readonly agent: string;
  readonly target: ScopedCall;
  readonly step: string;
  /** The execution whose token is presented. */
  readonly parent: string | undefined;
  /** The round that it goes on with. */
  readonly continues?: string | undefined;
  readonly process: string | undefined;
  readonly now: number;
  readonly timeoutMs: number;
}

export interface Bounds {
  readonly depthMax: number;
  readonly childrenMax: number;
  readonly treeMax: number;
  readonly visitsMax: number;
  readonly scopesMax: number;
  readonly marginMs: number;
}

export class LineageModel {
  readonly past: Past[] = [];
  readonly #bounds: Bounds;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  find(call: string | undefined): Past | undefined {
    return this.past.find((one) => one.call === call);
  }

  ancestors(one: Pick<Past, 'parents'>): Past[] {
    const parents = this.past.filter(({ call }) => one.parents.includes(call));
    return [...new Set([...parents, ...parents.flatMap((parent) => this.ancestors(parent))])];
  }

  descendants(call: string): Past[] {
    return this.past.filter((one) => this.ancestors(one).some((other) => other.call === call));
  }

  depth(one: Pick<Past, 'parents'>): number {
    return Math.max(0, ...one.parents.map((parent) => 1 + this.depth(this.find(parent) as Past)));
  }

  /** From the root down along first parents, this one not included. */
  chain(one: Pick<Past, 'parents'>): Past[] {
    const parent = this.find(one.parents[0]);
    return parent === undefined ? [] : [...this.chain(parent), parent];
  }

  isOver(tree: string): boolean {
    return this.past.filter((one) => one.tree === tree).every(({ ended }) => ended);
  }

  roundsOf({ continues }: Pick<Wish, 'continues'>): readonly string[] {
    const before = this.find(continues);
    return before === undefined ? [] : [...before.rounds, before.call];
  }

  /** The tree that something under a root belongs to: the one that is open, or a new one. */
  treeUnder(root: string, call: string): string {
    return this.past.find((one) => one.root === root && !this.isOver(one.tree))?.tree ?? call;
  }

  alive(one: Past, now: number): boolean {
    return one.started && !one.ended && !one.revoked && one.deadline > now;
  }

  mayJoin(wish: Wish): boolean {
    const { marginMs, depthMax, childrenMax, treeMax, visitsMax, scopesMax } = this.#bounds;
    const before = this.find(wish.continues);
    // It stands where the one before it stood.
    if (before !== undefined && before.parents[0] !== wish.parent) return false;
    if (wish.parent === undefined) return true;
    const parent = this.find(wish.parent);
    if (parent === undefined) return false;
    const parents = this.parentsOf(wish);
    if (parents.some(({ tree }) => tree !== parent.tree)) return false;
    const place = { parents: parents.map(({ call }) => call) };
    if (!this.ancestors(place).every((one) => this.alive(one, wish.now))) return false;
    if (this.depth(place) > depthMax) return false;
    for (const one of parents) {
      const chain = [...this.chain(one), one];
      if (chain.some(({ step }) => step === wish.step)) return false;
      if (chain.filter(({ target }) => target.server === wish.target.server).length >= visitsMax) return false;
      if (this.past.filter((child) => child.parents.includes(one.call)).length >= childrenMax) return false;
    }
    if (this.past.filter(({ tree }) => tree === parent.tree).length >= treeMax) return false;
    const scopes = new Set(parents.flatMap((one) => one.scopes));
    if (scopes.size > scopesMax || ![...scopes].every((scope) => permits(scope, wish.target))) return false;
    return Math.min(...parents.map(({ deadline }) => deadline)) - marginMs > wish.now;
  }

  parentsOf({ parent, process }: Pick<Wish, 'parent' | 'process'>): Past[] {
    const first = this.find(parent);
    if (first === undefined) return [];
    const working = this.past.filter(
      (one) => process !== undefined && one.process === process && one.started && !one.ended && one !== first,
    );
    return [first, ...working];
  }

  join(wish: Wish): void {
    const parents = this.parentsOf(wish);
    const root = parents[0]?.root ?? this.find(wish.continues)?.root ?? wish.call;
    const above = Math.min(...parents.map(({ deadline }) => deadline)) - this.#bounds.marginMs;
    this.past.push({
      call: wish.call,
      agent: wish.agent,
      target: wish.target,
      step: wish.step,
      parents: parents.map(({ call }) => call),
      root,
      tree: parents[0]?.tree ?? this.treeUnder(root, wish.call),
      rounds: this.roundsOf(wish),
      timeoutMs: wish.timeoutMs,
      deadline: above,
      scopes: [...new Set(parents.flatMap(({ scopes }) => scopes))],
      started: false,
      ended: false,
      revoked: false,
    });
  }

  mayStart(one: Past, now: number, narrowing: Scope | undefined): boolean {
    if (one.revoked || one.deadline <= now) return false;
    if (!this.ancestors(one).every((other) => this.alive(other, now))) return false;
    if (narrowing === undefined) return true;
    return one.scopes.length < this.#bounds.scopesMax && one.scopes.every((scope) => isWithin(narrowing, scope));
  }

  /** What has to be stopped when these are over or revoked. */
  openBelow(calls: readonly string[]): string[] {
    return this.past
      .filter((one) => !one.ended && this.ancestors(one).some(({ call }) => calls.includes(call)))
      .map(({ call }) => call);
  }
}
