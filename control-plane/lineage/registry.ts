// The executions that are open, how they belong together, and what each of them may still do. A call joins under a parent that is running, inside
// the authority, the time and the size of everything above it; when something above it ends or is revoked, so does it. This is the authority
// about lineage: tokens only point into it. It decides in one tick, knows no clock and does no I/O; stopping what it names is the caller's.

import { actionId } from '../../domain/action.ts';
import { Defect } from '../../domain/defect.ts';
import { type Denial, deny } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import type { CallId } from '../../domain/ids.ts';
import type { Scope } from '../../domain/scope.ts';
import { LINEAGE_LIMITS, type LineageLimits } from './limits.ts';
import type {
  AgentTerms,
  EarlierRound,
  Joining,
  Origin,
  Place,
  Presented,
  RemoteParent,
  Standing,
  Starting,
} from './place.ts';
import type { LineagePorts, RevokedThing } from './ports.ts';
import { isWithin, permits, type ScopedCall } from './scope.ts';
import {
  above,
  allUnder,
  callsOf,
  depthUnder,
  isMeant,
  keyOf,
  type Node,
  once,
  openUnder,
  placeOf,
  type Tree,
} from './tree.ts';

const NONE: readonly never[] = [];
const SCOPES_CHARACTERS_MAX = 6_144;

export class LineageRegistry {
  readonly #ports: LineagePorts;
  readonly #limits: LineageLimits;
  /** By call, and for a peer's by issuer and call. */
  readonly #nodes = new Map<string, Node>();
  readonly #trees = new Map<string, Tree>();
  readonly #running = new Map<string, Set<Node>>();

  constructor(ports: LineagePorts) {
    this.#ports = ports;
    this.#limits = ports.limits ?? LINEAGE_LIMITS;
  }

  /** Executions that are known, ended ones of open trees and peers' included. */
  get size(): number {
    return this.#nodes.size;
  }

  /** Takes a call in under its parents, or as the root of a chain. Nothing is kept of one that is refused. */
  join(joining: Joining): Place | Denial {
    const { call, agent, now, target, continues } = joining;
    if (this.#nodes.has(call)) throw new Defect('a call joins once');
    const found = this.#parentsOf(joining);
    if ('code' in found) return found;
    const { parents, origin } = found;
    // It stands for the arguments, which may be large, and is compared with every step above.
    const step = once(joining.step);
    const [parent] = parents;
    const refused =
      this.#problemAbove(parents, now) ??
      this.#problemOfRound(continues, parent) ??
      this.#problemOfShape(parents, step, target) ??
      this.#problemOfOwn(joining, parent);
    if (refused !== undefined) return refused;
    const scopes = parent === undefined ? ownScope(joining.terms) : [...new Set(parents.flatMap((one) => one.scopes))];
    if (scopes.length > this.#limits.scopesMax) return deny('LINEAGE_SCOPE', `${scopes.length} scopes`);
    // One token carries so much; what several calls carry together must fit into an entry as well.
    if (parents.length > 1 && JSON.stringify(scopes).length > SCOPES_CHARACTERS_MAX)
      return deny('LINEAGE_SCOPE', 'too much to be recorded');
    if (!scopes.every((scope) => permits(scope, target)))
      return deny('LINEAGE_SCOPE', `${target.server} ${target.tool}`);
    const latest = Math.min(...parents.map(({ deadline }) => deadline)) - this.#limits.marginMs;
    if (latest <= now) return deny('LINEAGE_EXPIRED', 'no time is left');
    const root = continues?.root ?? call;
    const tree = parent?.tree ?? this.#trees.get(root) ?? this.#newTree(root, root);
    const node: Node = {
      call,
      agent,
      server: target.server,
      action: actionId(target.method, target.server, target.tool),
      tree,
      parents,
      children: new Set(),
      depth: depthUnder(parents),
      servers: [...(parent?.servers ?? NONE), target.server],
      agents: [...(parent?.agents ?? NONE), agent],
      steps: [...(parent?.steps ?? NONE), step],
      chain: once(() => joining.link(parent?.chain())),
      timeoutMs: joining.timeoutMs,
      rounds: continues === undefined ? NONE : [...continues.before, continues.call],
      issuer: undefined,
      deadline: latest,
      scopes,
      state: 'joined',
      revoked: false,
      born: 0,
      token: undefined,
      process: undefined,
    };
    this.#keep(node);
    return placeOf(node, origin);
  }

  /** Hands over: checks everything above once more, narrows, and remembers which token points here. In the tick in which the bytes go out. */
  start(call: CallId, { now, process, narrowing, token }: Starting): Denial | undefined {
    const node = this.#nodes.get(call);
    if (node === undefined || node.state === 'ended') return deny('LINEAGE_PARENT_ENDED', 'it is not open');
    if (node.state === 'running') throw new Defect('an execution starts once');
    const refused = this.problem(call, now);
    if (refused !== undefined) return refused;
    if (narrowing !== undefined) {
      if (!node.scopes.every((scope) => isWithin(narrowing, scope))) return deny('LINEAGE_SCOPE_WIDENING');
      if (node.scopes.length >= this.#limits.scopesMax) return deny('LINEAGE_SCOPE_WIDENING', 'too many scopes');
      node.scopes = [...node.scopes, narrowing];
    }
    node.state = 'running';
    // It may have waited for its turn: its own time begins now, that of everything above it goes on.
    node.deadline = Math.min(node.deadline, now + node.timeoutMs);
    node.token = token;
    if (process !== undefined) {
      node.process = process;
      const others = this.#running.get(process);
      if (others === undefined) this.#running.set(process, new Set([node]));
      else others.add(node);
    }
    return undefined;
  }

  /** Why an execution may not go on; undefined when everything above it still runs, is not revoked and has time. */
  problem(call: CallId, now: number): Denial | undefined {
    const node = this.#nodes.get(call);
    if (node === undefined) return deny('LINEAGE_UNKNOWN_PARENT');
    if (node.revoked || this.#isRevoked(node)) return deny('LINEAGE_REVOKED');
    if (node.deadline <= now) return deny('LINEAGE_EXPIRED');
    return this.#problemAbove(node.parents, now);
  }

  /** Everything that joined under an execution, whether it has ended or not, from the top; nothing of a tree that is forgotten. */
  under(call: CallId): readonly CallId[] {
    const node = this.#nodes.get(call);
    if (node === undefined || node.children.size === 0) return NONE;
    return callsOf([...allUnder(node.children)]);
  }

  /** The execution is over. Names everything under it that is still open, which must be stopped before its result is released. */
  end(call: CallId): readonly CallId[] {
    const node = this.#nodes.get(call);
    return node === undefined ? NONE : this.#end(node);
  }

  /** Where an open execution stands and what it hands on; undefined when it is not open. */
  standing(call: CallId, now: number): Standing | undefined {
    const node = this.#nodes.get(call);
    if (node === undefined || node.state === 'ended') return undefined;
    const { tree, depth, scopes, servers, agents, chain } = node;
    const deadline = node.state === 'running' ? node.deadline : Math.min(node.deadline, now + node.timeoutMs);
    return { root: tree.root, node: call, depth, deadline, scopes, servers, agents, chain: chain() };
  }

  /** Whether anything under a root is open, here. */
  isOpen(root: CallId): boolean {
    if (this.#trees.has(root)) return true;
    // A chain that began at a peer.
    for (const tree of this.#trees.values()) if (tree.root === root) return true;
    return false;
  }

  /** Something was revoked. From here on nothing joins below it; names everything open that must be stopped, from the top. */
  revoke(kind: RevokedThing, id: string): readonly CallId[] {
    const hit: Node[] = [];
    for (const node of this.#nodes.values()) if (isMeant(node, kind, id)) hit.push(node);
    const open = openUnder(hit);
    for (const node of [...hit, ...open]) node.revoked = true;
    return callsOf(open);
  }

  /** A peer says that an execution of it is over, or is believed about none any more (`node` absent). Names what must be stopped here. */
  peerEnded(issuer: string, node?: CallId): readonly CallId[] {
    // Peers say this of every call that ends there: one is found without looking at all.
    const known =
      node === undefined
        ? [...this.#nodes.values()].filter((one) => one.issuer === issuer)
        : [this.#nodes.get(keyOf({ issuer, call: node }))].filter((one) => one !== undefined);
    return [...new Set(known.flatMap((one) => this.#end(one)))];
  }

  /** The open executions of a tree, or all. For whoever shows or counts them. */
  *open(root?: CallId): IterableIterator<CallId> {
    for (const { call, state, issuer, tree } of this.#nodes.values()) {
      if (state !== 'ended' && issuer === undefined && (root === undefined || tree.root === root)) yield call;
    }
  }

  #parentsOf(joining: Joining): { readonly parents: readonly Node[]; readonly origin: Origin } | Denial {
    const { presented, process, terms } = joining;
    const working = process === undefined ? NONE : [...(this.#running.get(process) ?? NONE)];
    if (presented !== undefined) {
      const parent = presented.from === 'self' ? this.#local(presented) : this.#remote(presented);
      if ('code' in parent) return parent;
      const parents = [parent, ...working.filter((node) => node !== parent)];
      if (parents.some(({ tree }) => tree !== parent.tree))
        return deny('LINEAGE_MIXED_ROOTS', 'isolation: per-root keeps them apart');
      return { parents, origin: presented.from === 'self' ? 'token' : 'peer' };
    }
    switch (terms.unsaid) {
      case 'infer': {
        const [only, second] = working;
        if (only === undefined) return deny('LINEAGE_MISSING', 'its process works on nothing');
        if (second !== undefined) return deny('LINEAGE_AMBIGUOUS', `its process works on ${working.length} calls`);
        return { parents: [only], origin: 'inferred' };
      }
      case 'root':
        return terms.root ? { parents: NONE, origin: 'root' } : deny('LINEAGE_NOT_ROOT', joining.agent);
      case 'deny':
        return deny('LINEAGE_MISSING', joining.agent);
    }
  }

  #local({ root, node: call, digest }: Extract<Presented, { from: 'self' }>): Node | Denial {
    const { revocations } = this.#ports;
    const node = this.#nodes.get(call);
    // What was revoked is over soon, and then not known any more.
    if (revocations.has('root', root) || revocations.has('node', call)) return deny('LINEAGE_REVOKED', call);
    if (node === undefined) return deny('LINEAGE_UNKNOWN_PARENT');
    if (node.state !== 'running') return deny('LINEAGE_PARENT_NOT_EXECUTING', node.state);
    return node.token === digest ? node : deny('LINEAGE_UNKNOWN_PARENT', 'another token');
  }

  /** Makes the peer's execution known here, as long as something is under it. */
  #remote(parent: RemoteParent): Node | Denial {
    const state = this.#ports.peers.state(parent.issuer, parent.node);
    switch (state) {
      case 'stale':
        return deny('LINEAGE_PEER_STALE', parent.issuer);
      case 'unknown':
        return deny('LINEAGE_UNKNOWN_PARENT', parent.issuer);
      case 'revoked':
        return deny('LINEAGE_REVOKED', parent.issuer);
      case 'ended':
        return deny('LINEAGE_PARENT_NOT_EXECUTING', parent.issuer);
      case 'running':
    }
    const known = this.#nodes.get(keyOf({ issuer: parent.issuer, call: parent.node }));
    if (known !== undefined) return known;
    const treeKey = `${parent.issuer}|${parent.root}`;
    return {
      call: parent.node,
      agent: '',
      server: '',
      action: '',
      tree: this.#trees.get(treeKey) ?? this.#newTree(treeKey, parent.root),
      parents: NONE,
      children: new Set(),
      depth: parent.depth,
      servers: parent.servers,
      agents: parent.agents,
      steps: NONE,
      chain: () => parent.chain,
      timeoutMs: 0,
      rounds: NONE,
      issuer: parent.issuer,
      deadline: parent.deadline,
      scopes: parent.scopes,
      state: 'running',
      revoked: false,
      born: 0,
      token: undefined,
      process: undefined,
    };
  }

  /** The first thing above that is not running, not allowed any more, or out of time. */
  #problemAbove(parents: readonly Node[], now: number): Denial | undefined {
    for (const node of above(parents)) {
      if (node.revoked || this.#isRevoked(node)) return deny('LINEAGE_REVOKED', node.call);
      if (node.state !== 'running') return deny('LINEAGE_PARENT_NOT_EXECUTING', node.call);
      if (node.deadline <= now) return deny('LINEAGE_EXPIRED', node.call);
      if (node.issuer === undefined) continue;
      switch (this.#ports.peers.state(node.issuer, node.call)) {
        case 'running':
          continue;
        case 'revoked':
          return deny('LINEAGE_REVOKED', node.call);
        case 'stale':
          return deny('LINEAGE_PEER_STALE', node.issuer);
        default:
          return deny('LINEAGE_PARENT_NOT_EXECUTING', node.call);
      }
    }
    return undefined;
  }

  /** A round stands where the one before it stood, and nothing that was said of that one is undone by going on. */
  #problemOfRound(round: EarlierRound | undefined, parent: Node | undefined): Denial | undefined {
    if (round === undefined) return undefined;
    const isSame = round.parent === (parent?.call ?? null) && round.issuer === parent?.issuer;
    if (!isSame || (parent !== undefined && round.root !== parent.tree.root)) return deny('LINEAGE_ROUND', round.call);
    const { revocations } = this.#ports;
    const revoked = [...round.before, round.call].find((call) => revocations.has('node', call));
    return revoked === undefined ? undefined : deny('LINEAGE_REVOKED', revoked);
  }

  #problemOfShape(parents: readonly Node[], step: () => Digest, target: ScopedCall): Denial | undefined {
    const { depthMax, childrenMax, treeMax, visitsMax } = this.#limits;
    if (depthUnder(parents) > depthMax) return deny('LINEAGE_DEPTH', `more than ${depthMax}`);
    for (const { steps, servers, born, tree } of parents) {
      if (steps.some((one) => one() === step())) return deny('LINEAGE_CYCLE', target.server);
      if (servers.filter((server) => server === target.server).length >= visitsMax)
        return deny('LINEAGE_CYCLE', `the chain came to ${target.server} ${visitsMax} times`);
      if (born >= childrenMax) return deny('LINEAGE_FANOUT', `more than ${childrenMax}`);
      if (tree.size >= treeMax) return deny('LINEAGE_TREE', `more than ${treeMax}`);
    }
    return undefined;
  }

  /** Its own agent, server and tool. A root is asked here too, which nobody stands above. */
  #problemOfOwn({ call, agent, target, continues }: Joining, parent: Node | undefined): Denial | undefined {
    const { revocations } = this.#ports;
    if (revocations.has('root', parent?.tree.root ?? continues?.root ?? call)) return deny('REVOKED_ROOT');
    if (revocations.has('agent', agent)) return deny('REVOKED_AGENT');
    return revocations.has('server', target.server) ? deny('REVOKED_SERVER') : undefined;
  }

  #isRevoked({ call, rounds, agent, tree }: Node): boolean {
    const { revocations } = this.#ports;
    return (
      revocations.has('root', tree.root) ||
      revocations.has('node', call) ||
      revocations.has('agent', agent) ||
      rounds.some((round) => revocations.has('node', round))
    );
  }

  #newTree(key: string, root: CallId): Tree {
    return { key, root, nodes: new Set(), size: 0, open: 0 };
  }

  #keep(node: Node): void {
    const { tree, parents } = node;
    for (const parent of parents) {
      parent.children.add(node);
      parent.born += 1;
      // A peer's execution is known from its first child here.
      if (!tree.nodes.has(parent)) this.#enter(parent);
    }
    this.#enter(node);
    tree.size += 1;
  }

  #enter(node: Node): void {
    this.#nodes.set(keyOf(node), node);
    this.#trees.set(node.tree.key, node.tree);
    node.tree.nodes.add(node);
    node.tree.open += 1;
  }

  #end(node: Node): readonly CallId[] {
    if (node.state === 'ended') return NONE;
    const open = openUnder(node.children);
    node.state = 'ended';
    node.token = undefined;
    if (node.process !== undefined) {
      const others = this.#running.get(node.process);
      others?.delete(node);
      if (others?.size === 0) this.#running.delete(node.process);
    }
    const { tree } = node;
    tree.open -= 1;
    if (tree.open === 0) this.#forget(tree);
    return callsOf(open);
  }

  /** A tree is known until all of it has ended: a token of a part that ended is told apart from an invented one till then. */
  #forget(tree: Tree): void {
    this.#trees.delete(tree.key);
    for (const node of tree.nodes) this.#nodes.delete(keyOf(node));
  }
}

function ownScope({ scope }: AgentTerms): readonly Scope[] {
  return scope === undefined ? NONE : [scope];
}
