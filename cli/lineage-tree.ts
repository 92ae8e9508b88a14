// The chains of calls in ledgers, as trees. Read from entries alone; nothing is believed that they do not say, and what they lack is missing here.
// Where a chain goes from one gate to another, each ledger names an entry of the other: whether it is that entry is told by its leaf hash.

import type { Digest } from '../domain/digest.ts';
import type { Entry } from '../domain/entry.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';

/**
 * Of a call whose parent is in the ledger of another gate: both ledgers name the other's entry, only the one below does, the one above is not here,
 * or what is named is not what is there.
 */
export type Across = 'both ways' | 'one way' | 'unseen' | 'broken';

export interface CallNode {
  readonly gate: string;
  readonly call: string;
  readonly root: string;
  readonly link: 'root' | 'calls' | 'asks' | 'continues';
  readonly agent: string;
  readonly method: string;
  readonly target: string;
  /** RFC 3339. */
  readonly at: string;
  readonly origin: string | undefined;
  readonly issuer: string | undefined;
  across: Across | undefined;
  /** Each had to permit it. */
  readonly scopes: readonly Json[];
  /** What it handed on at most, besides. */
  readonly narrowed: Json | undefined;
  /** `running` while there is no ending. */
  outcome: string;
  ms: number | undefined;
  readonly children: CallNode[];
}

interface Position {
  readonly log: string;
  readonly seq: number;
  readonly leaf: string;
}

interface Grown {
  readonly node: CallNode;
  readonly log: string;
  readonly seq: number;
  readonly leaf: Digest | undefined;
  /** The call above it: the one that it is a question of, that it goes on with, or that it was made for. */
  readonly above: string | undefined;
  readonly isAcross: boolean;
  readonly at: Position | undefined;
}

/** What a ledger says of a call that joined at another gate. */
interface Told {
  readonly gate: string;
  readonly log: string;
  readonly node: string;
  readonly child: string;
  readonly peer: string;
  readonly at: Position;
  readonly ts: string;
}

export class LineageForest {
  /** By log and call: another gate may use the same ids. */
  readonly #grown = new Map<string, Grown>();
  readonly #told: Told[] = [];

  /** Takes in an entry. `gate` names where it was found; without its leaf hash no link to it is taken for proven. */
  add(gate: string, entry: Entry, leaf?: Digest): void {
    const log = entry.log ?? gate;
    if (entry.type === 'peer.joined') return this.#tell(gate, log, entry);
    if (typeof entry.call !== 'string') return;
    const key = `${log}|${entry.call}`;
    const events = Array.isArray(entry.events) ? (entry.events as readonly Json[]).filter(isJsonObject) : [];
    const [first] = events;
    if (first?.type === 'call.requested' && !this.#grown.has(key))
      this.#grown.set(key, grownOf(gate, log, entry, first, leaf));
    const grown = this.#grown.get(key);
    if (grown !== undefined) conclude(grown.node, entry);
  }

  /** The trees of all calls, in the order of their first entries. */
  trees(): readonly CallNode[] {
    const tops: CallNode[] = [];
    for (const grown of this.#grown.values()) {
      const above = this.#above(grown);
      if (grown.isAcross) grown.node.across = this.#across(grown, above);
      if (above === undefined || above === grown) tops.push(grown.node);
      else above.node.children.push(grown.node);
    }
    for (const told of this.#told) {
      const above = this.#grown.get(`${told.log}|${told.node}`);
      if (above !== undefined && !this.#grown.has(`${told.at.log}|${told.child}`))
        above.node.children.push(elsewhere(told, above.node));
    }
    return tops;
  }

  #above({ log, above, isAcross, at }: Grown): Grown | undefined {
    if (above === undefined) return undefined;
    if (!isAcross) return this.#grown.get(`${log}|${above}`);
    if (at !== undefined) return this.#grown.get(`${at.log}|${above}`);
    return [...this.#grown.values()].find((other) => other.log !== log && other.node.call === above);
  }

  #across({ node, log, leaf, at }: Grown, above: Grown | undefined): Across {
    if (above === undefined) return 'unseen';
    const isThere = at !== undefined && above.seq === at.seq && above.leaf === at.leaf && above.node.root === node.root;
    const told = this.#told.find((one) => one.at.log === log && one.child === node.call && one.log === above.log);
    if (!isThere || (told !== undefined && (told.at.leaf !== leaf || told.node !== above.node.call))) return 'broken';
    return told === undefined ? 'one way' : 'both ways';
  }

  #tell(gate: string, log: string, { node, child, peer, entry, ts }: Entry): void {
    const at = positionOf(entry);
    if (at === undefined || typeof node !== 'string' || typeof child !== 'string') return;
    this.#told.push({ gate, log, node, child, peer: text(peer) ?? '?', at, ts });
  }
}

/** The tree in which a call stands; undefined when it stands in none. */
export function treeWith(trees: readonly CallNode[], call: string): CallNode | undefined {
  return trees.find((tree) => holds(tree, call, new Set()));
}

/** Whether something in a tree names what is not there. */
export function isBroken(node: CallNode): boolean {
  return node.across === 'broken' || node.children.some(isBroken);
}

function holds(node: CallNode, call: string, seen: Set<CallNode>): boolean {
  if (seen.has(node)) return false;
  seen.add(node);
  return node.call === call || node.children.some((child) => holds(child, call, seen));
}

function grownOf(gate: string, log: string, entry: Entry, requested: JsonObject, leaf: Digest | undefined): Grown {
  const lineage = isJsonObject(requested.lineage) ? requested.lineage : {};
  const relation = isJsonObject(requested.relation) ? requested.relation : {};
  const principal = isJsonObject(requested.principal) ? requested.principal : {};
  // One that was refused stands where its token said.
  const shown = isJsonObject(lineage.shown) ? lineage.shown : {};
  const parent = text(lineage.parent) ?? text(shown.node);
  const related = text(relation.call);
  const server = text(requested.server) ?? '';
  const tool = text(requested.tool);
  const node: CallNode = {
    gate,
    call: String(entry.call),
    root: text(shown.root) ?? text(lineage.root) ?? String(entry.call),
    link: related === undefined ? (parent === undefined ? 'root' : 'calls') : linkOf(relation.kind),
    agent: text(principal.agent) ?? '?',
    method: text(requested.method) ?? '?',
    target: tool === undefined ? (text(requested.method) ?? '?') : `${server}/${tool}`,
    at: entry.ts,
    origin: text(lineage.origin),
    issuer: text(lineage.issuer) ?? text(shown.issuer),
    across: undefined,
    scopes: Array.isArray(lineage.scopes) ? (lineage.scopes as readonly Json[]) : [],
    narrowed: lineage.narrowed,
    outcome: 'running',
    ms: undefined,
    children: [],
  };
  const isAcross = related === undefined && node.issuer !== undefined;
  return {
    node,
    log,
    seq: entry.seq,
    leaf,
    above: related ?? parent,
    isAcross,
    at: positionOf(lineage.entry ?? shown.entry),
  };
}

function linkOf(kind: Json | undefined): 'asks' | 'continues' {
  return kind === 'within' ? 'asks' : 'continues';
}

/** A call of which only the ledger above it is here. */
function elsewhere({ gate, child, peer, ts }: Told, above: CallNode): CallNode {
  return {
    gate,
    call: child,
    root: above.root,
    link: 'calls',
    agent: '?',
    method: '?',
    target: `at the peer ${peer}`,
    at: ts,
    origin: undefined,
    issuer: undefined,
    across: 'unseen',
    scopes: [],
    narrowed: undefined,
    outcome: 'in another ledger',
    ms: undefined,
    children: [],
  };
}

function conclude(node: CallNode, entry: Entry): void {
  if (entry.type !== 'call.ending' && entry.type !== 'call.denial') return;
  const outcome = isJsonObject(entry.outcome) ? entry.outcome : {};
  const code = text(outcome.code) ?? text(entry.code);
  const status = entry.type === 'call.denial' ? 'denied' : (text(outcome.status) ?? 'ended');
  node.outcome = code === undefined ? status : `${status} ${code}`;
  node.ms = Math.max(0, Date.parse(entry.ts) - Date.parse(node.at));
}

function positionOf(value: Json | undefined): Position | undefined {
  if (!isJsonObject(value)) return undefined;
  const { log, seq, leaf } = value;
  if (typeof log !== 'string' || typeof seq !== 'number' || typeof leaf !== 'string') return undefined;
  return { log, seq, leaf };
}

function text(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
