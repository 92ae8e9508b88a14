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

  isOver(root: string): boolean {
    return this.past.filter((one) => one.root === root).every(({ ended }) => ended);
  }

  alive(one: Past, now: number): boolean {
    return one.started && !one.ended && !one.revoked && one.deadline > now;
  }

  mayJoin(wish: Wish): boolean {
    const { marginMs, depthMax, childrenMax, treeMax, visitsMax, scopesMax } = this.#bounds;
    if (wish.parent === undefined) return true;
    const parent = this.find(wish.parent);
    if (parent === undefined) return false;
    const parents = this.parentsOf(wish);
    if (parents.some(({ root }) => root !== parent.root)) return false;
    const place = { parents: parents.map(({ call }) => call) };
    if (!this.ancestors(place).every((one) => this.alive(one, wish.now))) return false;
    if (this.depth(place) > depthMax) return false;
    for (const one of parents) {
      const chain = [...this.chain(one), one];
      if (chain.some(({ step }) => step === wish.step)) return false;
      if (chain.filter(({ target }) => target.server === wish.target.server).length >= visitsMax) return false;
      if (this.past.filter((child) => child.parents.includes(one.call)).length >= childrenMax) return false;
    }
    if (this.past.filter(({ root }) => root === parent.root).length >= treeMax) return false;
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
    const above = Math.min(...parents.map(({ deadline }) => deadline)) - this.#bounds.marginMs;
    this.past.push({
      call: wish.call,
      agent: wish.agent,
      target: wish.target,
      step: wish.step,
      parents: parents.map(({ call }) => call),
      root: parents[0]?.root ?? wish.call,
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
