// Whether the executions in a ledger stood to each other as the rules of chains demand, told from the entries alone and in their order. It does not
// ask the registry that let them in and shares nothing with it but the limits; whatever it can say, anybody with the ledger can. It keeps of a tree
// only what is open. What one ledger cannot show is not judged: what a peer says of its executions, and times that are in no entry.

import type { Digest, Sha256 } from '../../domain/digest.ts';
import type { Entry } from '../../domain/entry.ts';
import { isJsonObject } from '../../domain/json.ts';
import { chainLink } from '../../domain/lineage.ts';
import { RecordedAuthority, type Revocable } from './audit-authority.ts';
import { EndedCalls } from './ended-calls.ts';
import { LINEAGE_LIMITS, type LineageLimits } from './limits.ts';
import {
  type ChainProblem,
  type ChainRule,
  type Known,
  type KnownTree,
  problemsOfAll,
  problemsOfQuestion,
  problemsOfRound,
  problemsOnTop,
  problemsUnder,
  problemsUnderPeer,
} from './place-problems.ts';
import { eventsOf, type RecordedPlace, recordedPlace, unplaced } from './recorded-place.ts';
import { WaitingRounds } from './waiting-rounds.ts';

export interface ChainFinding {
  readonly rule: ChainRule;
  readonly seq: number;
  readonly call: string;
  readonly detail: string;
}

/** Where an execution was found to belong. */
interface Belonging {
  readonly parents: readonly Known[];
  readonly tree: KnownTree;
  readonly rounds: readonly string[];
}

const FINDINGS_MAX = 1_000;
/** What was denied may have been denied for its shape. */
const UNLIMITED: LineageLimits = {
  ...LINEAGE_LIMITS,
  depthMax: Number.POSITIVE_INFINITY,
  childrenMax: Number.POSITIVE_INFINITY,
  visitsMax: Number.POSITIVE_INFINITY,
};

export class LineageAudit {
  readonly findings: ChainFinding[] = [];
  /** Executions that began. */
  calls = 0;
  readonly #sha256: Sha256;
  readonly #limits: LineageLimits;
  readonly #openMax: number;
  readonly #authority = new RecordedAuthority();
  readonly #known = new Map<string, Known>();
  readonly #trees = new Map<string, KnownTree>();
  /** Of parents that run at a peer, the first place that was recorded under each. */
  readonly #remote = new Map<string, RecordedPlace>();
  readonly #waiting = new WaitingRounds();
  readonly #ended = new EndedCalls();
  #epoch = 0;
  #isRecovering = false;
  #isGivenUp = false;

  /** `openMax`: more calls than any gate has open. */
  constructor(sha256: Sha256, limits: LineageLimits = LINEAGE_LIMITS, openMax = 200_000) {
    this.#sha256 = sha256;
    this.#openMax = openMax;
    this.#limits = limits;
  }

  /** Executions that are open, and what is kept of their trees. */
  get kept(): number {
    return this.#known.size + this.#remote.size;
  }

  /** Takes in the next entry. Where there is too much that is wrong or open, that is a finding, and nothing more is looked at. */
  entry(entry: Entry): void {
    if (this.#isGivenUp || this.findings.length >= FINDINGS_MAX) return;
    if (entry.epoch !== this.#epoch) {
      this.#isRecovering = this.#epoch !== 0;
      this.#epoch = entry.epoch;
    }
    switch (entry.type) {
      case 'call.intent':
        return this.#begins(entry);
      case 'call.ending':
      case 'call.denial':
        return this.#ends(entry);
      default:
        this.#authority.note(entry);
    }
  }

  #begins(entry: Entry): void {
    const { call, seq } = entry;
    if (typeof call !== 'string') return;
    this.calls += 1;
    if (this.#isRecovering) this.#endRecovery(seq);
    if (this.#known.get(call)?.isOpen === true || this.#ended.has(call))
      this.#find('once', seq, call, 'it began before');
    const events = eventsOf(entry);
    const read = recordedPlace(entry, events);
    if (typeof read === 'string') this.#find('place', seq, call, read);
    // Ledgers from before chains, and what could not be read: still to be ended once.
    const place = typeof read === 'object' ? read : unplaced(call);
    if (place.node !== call) this.#find('place', seq, call, `it says that it is ${place.node}`);
    const { parents, tree, rounds } = this.#belongingOf(place, entry);
    const known: Known = {
      place,
      seq,
      epoch: entry.epoch,
      tree,
      parents,
      isOpen: true,
      born: 0,
      openBelow: undefined,
      link: undefined,
      rounds,
      against:
        this.#authority.againstDecision(events) ??
        this.#authority.againstAny(() => [{ ...place, rounds }, ...revocablesAbove(parents)]),
    };
    this.#known.set(call, known);
    if (this.#known.size > this.#openMax) {
      this.#isGivenUp = true;
      this.#find('limits', seq, call, `more than ${this.#openMax} calls are open`);
    }
    this.#trees.set(tree.key, tree);
    tree.names.push(call);
    tree.open += 1;
    tree.size += 1;
    if (tree.size > this.#limits.treeMax)
      this.#find('limits', seq, call, `more than ${this.#limits.treeMax} calls are under its root`);
    for (const parent of parents) {
      parent.born += 1;
      parent.openBelow ??= new Set();
      parent.openBelow.add(known);
    }
  }

  /** Finds what it belongs to, and whether that can be. */
  #belongingOf(place: RecordedPlace, entry: Entry): Belonging {
    const { parent, root, relation } = place;
    const own = { parents: [], tree: this.#treeOf(place.call), rounds: [] };
    let rounds: readonly string[] = [];
    const judge = (problems: readonly ChainProblem[]): void => {
      for (const [rule, detail] of problems) this.#find(rule, entry.seq, place.call, detail);
    };
    if (relation?.kind === 'within') {
      const asker = this.#known.get(relation.call);
      if (asker !== undefined) judge(problemsOfQuestion(place, asker.place));
      return own;
    }
    // What asks for a task goes on with the call that began it, in its own place.
    const isRound = relation?.kind === 'continues' && !place.method.startsWith('tasks/');
    if (isRound) {
      const before = this.#waiting.take(relation.call, entry.ts);
      if (before !== undefined) judge(problemsOfRound(place, before.place));
      if (before !== undefined) rounds = [...before.rounds, relation.call];
      else if (!this.#waiting.isShort) judge([['round', `${relation.call} waits for nothing, or for too long`]]);
    } else if (parent === undefined && root !== place.call)
      judge([['place', `it has no parent and another root, ${root}`]]);
    if (parent === undefined) {
      judge(problemsOnTop(place));
      return { parents: [], tree: this.#treeOf(root), rounds };
    }
    if (place.issuer !== undefined) {
      const tree = this.#treeOf(`${place.issuer}|${root}`);
      const parents = this.#knownOf(place.joined, place.call, entry.seq);
      judge(problemsUnderPeer(place, this.#firstUnder(`${place.issuer}|${parent}`, place, tree), this.#limits));
      judge(problemsOfAll(place, parents, tree, this.#limits));
      return { parents, tree, rounds };
    }
    const [first, ...others] = this.#knownOf([parent, ...place.joined], place.call, entry.seq);
    if (first === undefined) return { ...own, rounds };
    judge(problemsUnder(place, [first, ...others], this.#linkOf(first), this.#limits));
    return { parents: [first, ...others], tree: first.tree, rounds };
  }

  /** Those of its parents that are known; they must be running. What ran before the gate was started has been ended, or found, by now. */
  #knownOf(names: readonly string[], call: string, seq: number): readonly Known[] {
    return names.flatMap((name) => {
      const parent = this.#known.get(name);
      if (parent === undefined) this.#find('parent', seq, call, `its parent ${name} is not known, or long over`);
      else if (!parent.isOpen) this.#find('parent', seq, call, `its parent ${name} had ended`);
      return parent ?? [];
    });
  }

  /** What was said first of an execution at a peer: known as long as something under the same root is. */
  #firstUnder(key: string, place: RecordedPlace, tree: KnownTree): RecordedPlace {
    const first = this.#remote.get(key);
    if (first !== undefined) return first;
    this.#remote.set(key, place);
    tree.names.push(key);
    return place;
  }

  #ends(entry: Entry): void {
    const { call, seq, type } = entry;
    if (typeof call !== 'string') return;
    const known = this.#known.get(call);
    if (known === undefined || !known.isOpen) {
      const isLate = type === 'call.ending' || known !== undefined || this.#ended.has(call);
      if (isLate) this.#find('ending', seq, call, 'it is not open');
      else this.#denied(entry, call);
      return;
    }
    if (type === 'call.denial') this.#find('ending', seq, call, 'what was begun cannot be denied any more');
    const events = eventsOf(entry);
    const outcome = isJsonObject(entry.outcome) ? entry.outcome : {};
    const isRecovery = events.some((event) => event.type === 'gate.restarted');
    if (isRecovery !== known.epoch < entry.epoch) {
      const how = isRecovery
        ? 'it was ended as if the gate had been started anew'
        : 'it ran before the gate was started';
      this.#find('recovery', seq, call, how);
    }
    // A gate that went down knows of what it left only that it may have been carried out.
    if (!isRecovery) {
      for (const below of known.openBelow ?? [])
        this.#find('open_below', seq, call, `${below.place.call} is still open`);
      if (known.against !== undefined && outcome.dispatched !== false)
        this.#find('revoked', known.seq, call, known.against);
    }
    this.#close(known);
    if (outcome.status === 'incomplete' && events.at(-1)?.incomplete === 'input_required')
      this.#waiting.add(known, entry.ts);
  }

  /** What was denied did nothing. Where it says that it stood must be true all the same, as far as what it belonged to is known still. */
  #denied(entry: Entry, call: string): void {
    const place = recordedPlace(entry, eventsOf(entry));
    if (typeof place === 'string') return this.#find('place', entry.seq, call, place);
    if (place === undefined || place.issuer !== undefined) return;
    const { parent, joined, relation } = place;
    const [first, ...others] = [relation?.call ?? parent ?? '', ...joined].map((name) => this.#known.get(name));
    if (first === undefined) return;
    const parents = [first, ...others.filter((one) => one !== undefined)] as const;
    const problems =
      relation === undefined
        ? problemsUnder(place, parents, this.#linkOf(first), UNLIMITED)
        : problemsOfQuestion(place, first.place);
    for (const [rule, detail] of problems) this.#find(rule, entry.seq, call, detail);
  }

  #close(known: Known): void {
    known.isOpen = false;
    for (const parent of known.parents) parent.openBelow?.delete(known);
    this.#ended.add(known.place.call);
    const { tree } = known;
    tree.open -= 1;
    if (tree.open > 0) return;
    this.#trees.delete(tree.key);
    for (const name of tree.names) if (!this.#known.delete(name)) this.#remote.delete(name);
  }

  /** The first call of a start: by now everything that was open before has been ended. */
  #endRecovery(seq: number): void {
    this.#isRecovering = false;
    for (const known of [...this.#known.values()]) {
      if (!known.isOpen) continue;
      this.#find('recovery', seq, known.place.call, `it was open since entry ${known.seq} and was not ended`);
      this.#close(known);
    }
  }

  #treeOf(key: string): KnownTree {
    return this.#trees.get(key) ?? { key, size: 0, open: 0, names: [] };
  }

  #linkOf(known: Known): Digest {
    const { above: higher, agent, server, tool, args } = known.place;
    known.link ??= chainLink(this.#sha256, higher as Digest | undefined, { agent, server, tool, args: args as Digest });
    return known.link;
  }

  #find(rule: ChainRule, seq: number, call: string, detail: string): void {
    if (this.findings.length < FINDINGS_MAX) this.findings.push({ rule, seq, call, detail });
  }
}

/** Everything above, once. */
function revocablesAbove(parents: readonly Known[]): readonly Revocable[] {
  const seen = new Set(parents);
  for (const one of seen) for (const parent of one.parents) seen.add(parent);
  return [...seen].map(({ place, rounds }) => ({ ...place, rounds }));
}
