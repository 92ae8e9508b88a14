// What is wrong with where an execution stood, held against what it says it belongs to. Pure judgements over recorded places; finding what they
// belong to is for audit.ts.

import { actionId } from '../../domain/action.ts';
import type { Digest } from '../../domain/digest.ts';
import type { LineageLimits } from './limits.ts';
import type { RecordedPlace } from './recorded-place.ts';
import { isWithin, readScope } from './scope.ts';

/** What an execution can be found to have done that no gate lets happen. */
export type ChainRule =
  /** It begins twice. */
  | 'once'
  /** It ends without having begun, or twice. */
  | 'ending'
  /** What a start of the gate found open, and how that was ended. */
  | 'recovery'
  /** Its place contradicts itself or cannot be read. */
  | 'place'
  /** Its parent is not one that was running then. */
  | 'parent'
  /** Root, depth, agents or hash chain do not follow from its parent. */
  | 'continuity'
  /** It may do what something above it may not. */
  | 'scopes'
  /** Too many calls: under one another, under one, under one root, at one server. */
  | 'limits'
  /** It goes on for no call that waits for that. */
  | 'round'
  /** It was carried out though it, or something above it, was revoked, or the gate was halted. */
  | 'revoked'
  /** It ends while something under it goes on. */
  | 'open_below';

export type ChainProblem = readonly [rule: ChainRule, detail: string];

/** An execution of which something may still come. */
export interface Known {
  readonly place: RecordedPlace;
  readonly seq: number;
  readonly epoch: number;
  readonly tree: KnownTree;
  /** Without those that run at a peer. */
  readonly parents: readonly Known[];
  /** The rounds that it goes on with, from the first on. */
  readonly rounds: readonly string[];
  isOpen: boolean;
  born: number;
  openBelow: Set<Known> | undefined;
  /** Its link in the hash chain, once somebody asked for it. */
  link: Digest | undefined;
  /** What it must not have been carried out for. */
  readonly against: string | undefined;
}

/** What is kept of the executions under one root. */
export interface KnownTree {
  readonly key: string;
  size: number;
  open: number;
  readonly names: string[];
}

/** Of one that says that nothing is above it. */
export function problemsOnTop({ depth, agents, above, joined, issuer }: RecordedPlace): readonly ChainProblem[] {
  const isTop =
    depth === 0 && agents.length === 0 && above === undefined && joined.length === 0 && issuer === undefined;
  return isTop ? [] : [['place', 'it has no parent and yet something above it']];
}

/** Of one under parents, of which the first is the one that it names. `link` is the first one's in the hash chain. */
export function problemsUnder(
  place: RecordedPlace,
  parents: readonly [Known, ...Known[]],
  link: Digest,
  limits: LineageLimits,
): readonly ChainProblem[] {
  const problems: ChainProblem[] = [];
  const [parent] = parents;
  const { root, agents, depth, above } = place;
  const differs = (what: string) => problems.push(['continuity', `${what} of ${parent.place.call}`]);
  if (root !== parent.place.root) differs(`its root ${root} is not that`);
  if (depth !== Math.max(...parents.map((one) => one.place.depth)) + 1)
    differs(`its depth ${depth} is not one below that`);
  if (!isSame(agents, [...parent.place.agents, parent.place.agent])) differs('the agents above it are not those');
  if (above !== link) differs('its hash chain does not go on from that');
  if (depth > limits.depthMax) problems.push(['limits', `${depth} calls are above it`]);
  return [...problems, ...problemsOfAll(place, parents, parent.tree, limits)];
}

/** Of one under each of these, which are in this ledger: they belong to one tree, and what limits one of them limits it. */
export function problemsOfAll(
  place: RecordedPlace,
  parents: readonly Known[],
  tree: KnownTree,
  { childrenMax, visitsMax }: LineageLimits,
): readonly ChainProblem[] {
  const problems: ChainProblem[] = [];
  for (const parent of parents) {
    const { place: higher, born } = parent;
    if (parent.tree !== tree) problems.push(['continuity', `${higher.call} is under another root`]);
    const handed = higher.narrowed === undefined ? higher.scopes : [...higher.scopes, higher.narrowed];
    const lacking = handed.find((scope) => !place.scopes.includes(scope));
    if (lacking !== undefined)
      problems.push(['scopes', `it is free of a scope of ${higher.call}: ${lacking.slice(0, 120)}`]);
    if (born >= childrenMax) problems.push(['limits', `${higher.call} made ${born} calls before`]);
    const visits = chainOf(parent).filter((each) => each.place.server === place.server).length;
    if (visits >= visitsMax) problems.push(['limits', `its chain came to ${place.server} ${visits} times before`]);
  }
  return problems;
}

/** Of one whose parent runs at a peer: held against what was said of that parent first. */
export function problemsUnderPeer(
  place: RecordedPlace,
  first: RecordedPlace,
  limits: LineageLimits,
): readonly ChainProblem[] {
  const problems: ChainProblem[] = [];
  const { root, depth, agents, above, joined } = place;
  const hasOwnDepth = joined.length + first.joined.length > 0;
  if (
    first.root !== root ||
    first.above !== above ||
    !isSame(first.agents, agents) ||
    (first.depth !== depth && !hasOwnDepth)
  )
    problems.push(['continuity', `it says something else of its parent than ${first.call}`]);
  if (depth < 1 || agents.length === 0 || above === undefined) problems.push(['place', 'it is below nothing']);
  if (depth > limits.depthMax) problems.push(['limits', `${depth} calls are above it`]);
  return problems;
}

/** Of a server's question within a call: it stands where that stands. Before questions had places, each was a chain of its own. */
export function problemsOfQuestion(place: RecordedPlace, asker: RecordedPlace): readonly ChainProblem[] {
  if (place.root === place.call || isSamePlace(place, asker)) return [];
  return [['continuity', `it does not stand where ${asker.call} stands, within which it is asked`]];
}

/** Of a round that goes on where one before it stopped: the same caller, the same target, the same place. */
export function problemsOfRound(place: RecordedPlace, before: RecordedPlace): readonly ChainProblem[] {
  const { call: earlier } = before;
  if (before.agent !== place.agent || actionOf(before) !== actionOf(place))
    return [['round', `${earlier} was another's, or asked for something else`]];
  // Before rounds shared a root, each was a chain of its own.
  if (place.root === place.call && place.parent === undefined && before.root === earlier) return [];
  const problems: ChainProblem[] = [];
  if (!isSamePlace(place, before)) problems.push(['round', `it does not stand where ${earlier} stood`]);
  if (!before.scopes.every((scope) => place.scopes.includes(scope)))
    problems.push(['round', `it is free of a scope of ${earlier}`]);
  if (!isNoWider(place.narrowed, before.narrowed)) problems.push(['round', `it hands on more than ${earlier}`]);
  return problems;
}

/** From this one up along first parents. */
function chainOf(known: Known): readonly Known[] {
  const [parent] = known.parents;
  return parent === undefined ? [known] : [known, ...chainOf(parent)];
}

/** Whether what is handed on lies in what was handed on before. */
function isNoWider(narrowed: string | undefined, before: string | undefined): boolean {
  if (before === undefined || narrowed === before) return true;
  const [inner, outer] = [narrowed, before].map((text) => readScope(text === undefined ? undefined : JSON.parse(text)));
  return inner !== undefined && outer !== undefined && isWithin(inner, outer);
}

function isSamePlace(one: RecordedPlace, other: RecordedPlace): boolean {
  return (
    one.root === other.root &&
    one.parent === other.parent &&
    one.issuer === other.issuer &&
    one.depth === other.depth &&
    one.above === other.above &&
    isSame(one.agents, other.agents)
  );
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((one, at) => one === others[at]);
}

function actionOf({ method, server, tool }: RecordedPlace): string {
  return actionId(method, server, tool);
}
