// The chains of calls in a ledger, as trees. Read from entries alone; nothing is believed that they do not say, and what they lack is missing here.

import type { Entry } from '../domain/entry.ts';
import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';

export interface CallNode {
  readonly gate: string;
  readonly call: string;
  readonly root: string;
  /** The call above it: the one that it was made for, that it is a question of, or that it goes on with. */
  readonly above: string | undefined;
  readonly link: 'root' | 'calls' | 'asks' | 'continues';
  readonly agent: string;
  readonly method: string;
  readonly target: string;
  /** RFC 3339. */
  readonly at: string;
  readonly origin: string | undefined;
  readonly issuer: string | undefined;
  /** Each had to permit it. */
  readonly scopes: readonly Json[];
  /** `running` while there is no ending. */
  outcome: string;
  ms: number | undefined;
  readonly children: CallNode[];
}

/** The trees of all calls, in the order of their first entries. `gate` names where an entry was found. */
export function lineageTrees(entries: Iterable<readonly [gate: string, entry: Entry]>): readonly CallNode[] {
  const nodes = new Map<string, CallNode>();
  for (const [gate, entry] of entries) {
    if (typeof entry.call !== 'string') continue;
    const events = Array.isArray(entry.events) ? (entry.events as readonly Json[]).filter(isJsonObject) : [];
    const [first] = events;
    if (first?.type === 'call.requested' && !nodes.has(entry.call)) nodes.set(entry.call, nodeOf(gate, entry, first));
    const node = nodes.get(entry.call);
    if (node !== undefined) conclude(node, entry);
  }
  const tops: CallNode[] = [];
  for (const node of nodes.values()) {
    const above = node.above === undefined ? undefined : nodes.get(node.above);
    if (above === undefined || above === node) tops.push(node);
    else above.children.push(node);
  }
  return tops;
}

/** The tree in which a call stands; undefined when it stands in none. */
export function treeWith(trees: readonly CallNode[], call: string): CallNode | undefined {
  return trees.find((tree) => holds(tree, call, new Set()));
}

function holds(node: CallNode, call: string, seen: Set<CallNode>): boolean {
  if (seen.has(node)) return false;
  seen.add(node);
  return node.call === call || node.children.some((child) => holds(child, call, seen));
}

function nodeOf(gate: string, entry: Entry, requested: JsonObject): CallNode {
  const lineage = isJsonObject(requested.lineage) ? requested.lineage : {};
  const relation = isJsonObject(requested.relation) ? requested.relation : {};
  const principal = isJsonObject(requested.principal) ? requested.principal : {};
  const parent = text(lineage.parent);
  const related = text(relation.call);
  const server = text(requested.server) ?? '';
  const tool = text(requested.tool);
  return {
    gate,
    call: String(entry.call),
    root: text(lineage.root) ?? String(entry.call),
    above: related ?? parent,
    link:
      related !== undefined
        ? relation.kind === 'within'
          ? 'asks'
          : 'continues'
        : parent === undefined
          ? 'root'
          : 'calls',
    agent: text(principal.agent) ?? '?',
    method: text(requested.method) ?? '?',
    target: tool === undefined ? (text(requested.method) ?? '?') : `${server}/${tool}`,
    at: entry.ts,
    origin: text(lineage.origin),
    issuer: text(lineage.issuer),
    scopes: Array.isArray(lineage.scopes) ? (lineage.scopes as readonly Json[]) : [],
    outcome: 'running',
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

function text(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
