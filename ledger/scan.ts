// Reads a log line by line and says what is wrong with it. Recovery and audit both read with this file; recovery stops at the first
// finding, audit goes on. `prev` names the exact entry that was edited; the tree and the signatures are what proves it.

import type { Digest } from '../domain/digest.ts';
import type { Entry } from '../domain/entry.ts';
import { fromDigest, isHashText, toDigest } from './base64.ts';
import { equalBytes, utf8 } from './bytes.ts';
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import { decodeEntry, findHeader } from './entry-line.ts';
import type { TreeHasher } from './leaf.ts';
import { EMPTY_FRONTIER, type Frontier, GrowingTree } from './merkle-tree.ts';
import { looksLikeCommit, parseCommitLine } from './segment.ts';
import { type NoteVerifier, openNote, parseNote } from './signed-note.ts';

export type FindingKind =
  /** The bytes of an entry are not the ones that were signed. */
  | 'changed'
  /** Entries are not there. */
  | 'missing'
  /** An entry stands where another belongs: reordered, repeated or inserted. */
  | 'out_of_place'
  /** A line is no entry of this log and no commit line. */
  | 'malformed'
  /** A commit line is damaged, not signed by the key, or not for this log. */
  | 'checkpoint'
  /** Time or writer generation went back. */
  | 'time'
  /** Lines after the last commit line: a batch that was never acknowledged, or the remains of one. */
  | 'unfinished'
  /** The log is shorter than a checkpoint that is trusted. */
  | 'truncated'
  /** At the size of a trusted checkpoint the log has another root. */
  | 'forked';

export interface Finding {
  readonly kind: FindingKind;
  /** The entry it is about, where it is about one. */
  readonly seq?: number;
  readonly segment: string;
  /** From 1, within the segment. */
  readonly line: number;
  /** Of the line's first byte, within the segment. */
  readonly offset: number;
  readonly detail: string;
}

export interface Place {
  readonly segment: string;
  readonly line: number;
  readonly offset: number;
  /** Bytes of the line without its line feed. */
  readonly bytes: number;
}

/** Everything up to a commit line that was found good. */
export interface ScanState {
  readonly frontier: Frontier;
  readonly lastLeaf: Digest | null;
  /** Milliseconds since 1970 of the last entry; 0 before the first. Only kept by a deep scan. */
  readonly lastTs: number;
  readonly epoch: number;
  readonly segment: string;
  /** Just behind the commit line. */
  readonly offset: number;
  readonly line: number;
  readonly note: string;
}

export interface ScanOptions {
  readonly hasher: TreeHasher;
  readonly origin: string;
  readonly verifier: NoteVerifier;
  /** `every` checks each commit line's signature; `last` only the one that covers everything, and those of damaged batches. */
  readonly signatures: 'every' | 'last';
  /** Parse every entry strictly. Without it entries are only hashed: enough to see any change, not to see what never fitted. */
  readonly deep: boolean;
  /** Roots known from elsewhere. */
  readonly trusted?: readonly Checkpoint[];
  readonly from?: ScanState;
  /** Entries of good batches, in order. Only in a deep scan. */
  readonly onEntry?: (entry: Entry, place: Place, leaf: Uint8Array) => void;
}

interface Pending extends Place {
  readonly seq: number | undefined;
  readonly leaf: Uint8Array;
  /** What the entry says its predecessor was: what stands there, something else, or nothing that can be read. */
  readonly prev: 'fits' | 'unreadable' | Uint8Array;
  readonly entry: Entry | undefined;
}

interface Doubt {
  readonly pending: readonly Pending[];
  readonly checkpoint: Checkpoint;
  readonly commit: Place;
}

const FINDINGS_MAX = 1000;
/** More entries than a segment may have, in one batch: nothing that we wrote, and not worth keeping in memory. */
const BATCH_ENTRIES_MAX = 65_536;
const NOTHING: ScanState = {
  frontier: EMPTY_FRONTIER,
  lastLeaf: null,
  lastTs: 0,
  epoch: 0,
  segment: '',
  offset: 0,
  line: 0,
  note: '',
};
const NULL = utf8('null');
const DIGEST_BYTES = 52;

export class LogScan {
  readonly findings: Finding[] = [];
  readonly #options: ScanOptions;
  readonly #trusted: Checkpoint[];
  #good: ScanState;
  #tree: GrowingTree;
  /** False once so much is wrong that roots cannot be recomputed; what can still be checked is. */
  #treeHolds = true;
  #size: number;
  #lastLeaf: Uint8Array | undefined;
  #ts: number;
  #epoch: number;
  #segment = '';
  #lineNumber = 0;
  #pending: Pending[] = [];
  #commitsSincePending = 0;
  #doubt: Doubt | undefined;
  #uncheckedNote: { readonly note: string; readonly place: Place } | undefined;

  constructor(options: ScanOptions) {
    this.#options = options;
    this.#good = options.from ?? NOTHING;
    this.#tree = new GrowingTree(options.hasher, this.#good.frontier);
    this.#size = this.#good.frontier.size;
    this.#lastLeaf = this.#good.lastLeaf === null ? undefined : fromDigest(this.#good.lastLeaf);
    this.#ts = this.#good.lastTs;
    this.#epoch = this.#good.epoch;
    this.#trusted = [...(options.trusted ?? [])].sort((a, b) => a.size - b.size);
    this.#checkTrusted(this.#tree, { segment: '', line: 0, offset: 0, bytes: 0 });
  }

  /** The last state at which everything was in order. */
  get good(): ScanState {
    return this.#good;
  }

  /** Entries up to the last commit line, good or not. */
  get size(): number {
    return this.#size;
  }

  /** Commit lines met behind the last good state, valid or not. */
  get commitsInTail(): number {
    return this.#commitsSincePending;
  }

  get entriesInTail(): number {
    return this.#pending.length;
  }

  /** The next line comes from this segment; `line` lines were read of it before. */
  enter(segment: string, line = 0): void {
    this.#segment = segment;
    this.#lineNumber = line;
  }

  line(bytes: Uint8Array, offset: number): void {
    this.#lineNumber += 1;
    const place = { segment: this.#segment, line: this.#lineNumber, offset, bytes: bytes.length };
    if (looksLikeCommit(bytes)) this.#commit(bytes, place);
    else this.#entry(bytes, place);
  }

  /** No more lines. `rest` is what stands behind the last line feed. */
  end(rest: { readonly offset: number; readonly bytes: number }): void {
    this.#resolveDoubt(undefined);
    const last = this.#uncheckedNote;
    if (last !== undefined && !this.#isSigned(last.note))
      this.#find('checkpoint', last.place, 'the signature is not valid');
    const first = this.#pending[0];
    if (first !== undefined || rest.bytes > 0) {
      const place = first ?? { segment: this.#segment, line: this.#lineNumber + 1, offset: rest.offset };
      const what = `${this.#pending.length} entries and ${rest.bytes} bytes without a commit line`;
      this.#find('unfinished', place, what, first === undefined ? undefined : this.#size);
    }
    const place = { segment: this.#segment, line: this.#lineNumber, offset: rest.offset };
    // Whatever made us stop recomputing roots has to be a finding; if it is not, nothing was verified.
    if (!this.#treeHolds && this.findings.length === 0)
      this.#find('checkpoint', place, 'the roots could not be recomputed');
    for (const { size } of this.#trusted) {
      if (this.#treeHolds) this.#find('truncated', place, `${this.#size} entries, trusted are ${size}`, this.#size);
    }
  }

  #entry(bytes: Uint8Array, place: Place): void {
    const header = findHeader(bytes);
    const leaf = this.#options.hasher.leaf(bytes);
    let prev: Pending['prev'] = 'fits';
    if (header === undefined) prev = 'unreadable';
    else if (!isPrev(bytes, header.prev, this.#lastLeaf)) prev = claimAt(bytes, header.prev) ?? 'unreadable';
    if (this.#doubt !== undefined) {
      const signed = this.#resolveDoubt(claimOf(prev, this.#lastLeaf));
      if (typeof prev === 'object' && signed !== undefined && equalBytes(signed, prev)) prev = 'fits';
    }
    let entry: Entry | undefined;
    if (this.#options.deep && header !== undefined) {
      entry = decodeEntry(bytes);
      if (entry === undefined) this.#find('malformed', place, 'the entry is not in canonical form', header.seq);
      else this.#checkFields(entry, place);
    }
    this.#lastLeaf = leaf;
    if (this.#pending.length === BATCH_ENTRIES_MAX) {
      this.#find('malformed', place, 'a batch without end');
      this.#treeHolds = false;
      this.#pending = [];
    }
    const { segment, line, offset } = place;
    this.#pending.push({ segment, line, offset, bytes: bytes.length, seq: header?.seq, leaf, prev, entry });
  }

  #checkFields(entry: Entry, place: Place): void {
    const ts = Date.parse(entry.ts);
    if (entry.log !== this.#options.origin) this.#find('malformed', place, 'the entry is of another log', entry.seq);
    if (Number.isNaN(ts) || ts < this.#ts) this.#find('time', place, 'the time goes back', entry.seq);
    else this.#ts = ts;
    if (entry.epoch < this.#epoch) this.#find('time', place, 'the writer generation goes back', entry.seq);
    else this.#epoch = entry.epoch;
  }

  #commit(bytes: Uint8Array, place: Place): void {
    this.#resolveDoubt(undefined);
    this.#commitsSincePending += 1;
    const note = parseCommitLine(bytes);
    const body = note === undefined ? undefined : parseNote(note);
    const checkpoint = body === undefined ? undefined : parseCheckpoint(body.text);
    if (note === undefined || checkpoint === undefined) {
      this.#find('checkpoint', place, 'the commit line is malformed');
      return;
    }
    if (checkpoint.origin !== this.#options.origin) {
      this.#find('checkpoint', place, `the checkpoint is of another log: ${checkpoint.origin}`);
      return;
    }
    const pending = this.#pending;
    this.#pending = [];
    const size = this.#size + pending.length;
    const counted = checkpoint.size === size && pending.length > 0;
    const tree = new GrowingTree(this.#options.hasher, this.#tree.frontier());
    if (counted && this.#treeHolds) for (const each of pending) tree.append(each.leaf);
    const agrees = counted && this.#treeHolds && equalBytes(tree.root(), checkpoint.root);

    if (this.#options.signatures === 'every' || !agrees) {
      if (!this.#isSigned(note)) {
        this.#find('checkpoint', place, 'the signature is not valid');
        // Nothing in this line is worth believing. If the entries are as they were, the next commit line will say so.
        if (!agrees && this.#treeHolds) {
          this.#pending = pending;
          return;
        }
      }
    }
    this.#uncheckedNote = this.#options.signatures === 'last' ? { note, place } : undefined;

    if (!this.#treeHolds) {
      this.#checkOrder(pending, checkpoint, place);
      this.#size = checkpoint.size;
    } else if (!counted) {
      this.#checkOrder(pending, checkpoint, place);
      // The writer never signs the same entries twice; a line that was inserted must not be where the checking of roots ends unseen.
      if (pending.length === 0 && checkpoint.size === this.#size)
        this.#find('out_of_place', place, `a second commit line for the first ${checkpoint.size} entries`);
      this.#treeHolds = false;
      this.#size = checkpoint.size;
    } else if (!agrees) {
      this.#doubt = { pending, checkpoint, commit: place };
      this.#size = size;
    } else {
      for (const [index, each] of pending.entries()) {
        // The root is the signed one, so the writer itself wrote this.
        if (each.seq === undefined) {
          this.#find('malformed', each, 'the line is not an entry', this.#size + index);
        } else if (each.seq !== this.#size + index || each.prev !== 'fits') {
          this.#find('out_of_place', each, 'the entry was written with a wrong seq or prev', this.#size + index);
        }
      }
      this.#accept(
        tree,
        pending,
        pending.map((each) => each.leaf),
      );
      this.#size = size;
      this.#settle(pending, place, note);
    }
  }

  /** Says which entries are missing or too many, by the positions that they name themselves. */
  #checkOrder(pending: readonly Pending[], checkpoint: Checkpoint, commit: Place): void {
    let expected = this.#size;
    for (const each of pending) {
      const seq = each.seq ?? expected;
      if (each.seq === undefined) this.#find('malformed', each, 'the line is not an entry', seq);
      if (seq > expected) this.#find('missing', each, `entries ${expected} to ${seq - 1} are not there`, expected);
      else if (seq < expected) this.#find('out_of_place', each, `entry ${seq} stands where ${expected} belongs`, seq);
      else if (each.prev !== 'fits')
        this.#find('changed', each, 'the chain of leaf hashes breaks at or before this entry', seq);
      expected = seq + 1;
    }
    if (checkpoint.size > expected) {
      this.#find('missing', commit, `entries ${expected} to ${checkpoint.size - 1} are not there`, expected);
    } else if (checkpoint.size < expected) {
      this.#find(
        'out_of_place',
        commit,
        `the checkpoint of size ${checkpoint.size} stands after entry ${expected - 1}`,
      );
    }
  }

  /**
   * The root of a batch is not the signed one. Its entries are vouched for by the `prev` of their successors: `next` is that of the
   * entry after the batch. Trying which claims lead to the signed root names the changed entries for certain. Returns the leaf hash that
   * the last entry of the batch had when it was signed, where that is known.
   */
  #resolveDoubt(next: Uint8Array | undefined): Uint8Array | undefined {
    const doubt = this.#doubt;
    if (doubt === undefined) return undefined;
    this.#doubt = undefined;
    const { pending, checkpoint } = doubt;
    const first = this.#size - pending.length;
    const claims = pending.map((each, index) => {
      const successor = pending[index + 1];
      return successor === undefined ? next : claimOf(successor.prev, each.leaf);
    });
    const suspects = pending.flatMap((each, index) => {
      const claim = claims[index];
      const differs = claim !== undefined && !equalBytes(claim, each.leaf);
      return differs || each.prev === 'unreadable' ? [index] : [];
    });
    // An entry whose `prev` was edited makes its predecessor look changed as well.
    const withoutEchoes = suspects.filter((index) => !suspects.includes(index + 1));
    for (const changed of [suspects, withoutEchoes]) {
      const leaves = pending.map((each, index) => (changed.includes(index) ? (claims[index] ?? each.leaf) : each.leaf));
      const tree = new GrowingTree(this.#options.hasher, this.#tree.frontier());
      for (const leaf of leaves) tree.append(leaf);
      if (changed.length === 0 || !equalBytes(tree.root(), checkpoint.root)) continue;
      for (const index of changed) this.#findChanged(pending[index] as Pending, first + index);
      // The leaves that were signed are known again, so everything after can be checked as if nothing had happened.
      this.#accept(tree, pending, leaves);
      return leaves.at(-1);
    }
    const last = pending.length - 1;
    // Nothing vouches for the very last entry of a log; its own edited `prev` makes the one before it look changed.
    const blamed = next === undefined ? [...suspects.filter((index) => index !== last - 1), last] : suspects;
    if (blamed.length > 0) {
      for (const index of blamed) this.#findChanged(pending[index] as Pending, first + index);
    } else {
      this.#find('changed', doubt.commit, `entries ${first} to ${first + last} do not have the signed root`, first);
    }
    this.#treeHolds = false;
    return undefined;
  }

  #findChanged(entry: Pending, seq: number): void {
    this.#find('changed', entry, 'the entry is not the one that was signed', seq);
  }

  /** These leaves are the signed ones. Roots that were trusted within or at the end of them are compared. */
  #accept(grown: GrowingTree, places: readonly Place[], leaves: readonly Uint8Array[]): void {
    const before = this.#tree;
    this.#tree = grown;
    if ((this.#trusted[0]?.size ?? Number.POSITIVE_INFINITY) > grown.size) return;
    for (const [index, leaf] of leaves.entries()) {
      before.append(leaf);
      this.#checkTrusted(before, places[index] as Place);
    }
  }

  #checkTrusted(tree: GrowingTree, place: Place): void {
    for (;;) {
      const trusted = this.#trusted[0];
      if (trusted === undefined || trusted.size > tree.size) return;
      this.#trusted.shift();
      if (trusted.size < tree.size || equalBytes(tree.root(), trusted.root)) continue;
      this.#find(
        'forked',
        place,
        `the first ${trusted.size} entries do not have the trusted root`,
        Math.max(0, trusted.size - 1),
      );
    }
  }

  #settle(pending: readonly Pending[], commit: Place, note: string): void {
    this.#commitsSincePending = 0;
    if (this.findings.length > 0) return;
    const last = pending.at(-1);
    this.#good = {
      frontier: this.#tree.frontier(),
      lastLeaf: last === undefined ? this.#good.lastLeaf : toDigest(last.leaf),
      lastTs: this.#ts,
      epoch: this.#epoch,
      segment: commit.segment,
      offset: commit.offset + commit.bytes + 1,
      line: commit.line,
      note,
    };
    const { onEntry } = this.#options;
    if (onEntry === undefined) return;
    for (const each of pending) if (each.entry !== undefined) onEntry(each.entry, each, each.leaf);
  }

  #isSigned(note: string): boolean {
    return openNote(note, [this.#options.verifier]).ok;
  }

  #find(kind: FindingKind, place: Omit<Place, 'bytes'>, detail: string, seq?: number): void {
    if (this.findings.length >= FINDINGS_MAX) return;
    const { segment, line, offset } = place;
    this.findings.push(
      seq === undefined ? { kind, segment, line, offset, detail } : { kind, seq, segment, line, offset, detail },
    );
  }
}

/** Whether the value of `prev` at `at` is this hash, or null when there is none. */
function isPrev(line: Uint8Array, at: number, hash: Uint8Array | undefined): boolean {
  if (hash === undefined) return NULL.every((byte, index) => line[at + index] === byte);
  // `"sha256:`, 43 characters, a quote. The prefix is part of what is hashed; here only the characters tell digests apart.
  return (
    line[at] === 0x22 && line[at + 7] === 0x3a && line[at + DIGEST_BYTES - 1] === 0x22 && isHashText(line, at + 8, hash)
  );
}

function claimOf(prev: Pending['prev'], predecessor: Uint8Array | undefined): Uint8Array | undefined {
  if (prev === 'fits') return predecessor;
  return prev === 'unreadable' ? undefined : prev;
}

/** The hash that `prev` names, or undefined when it names none. */
function claimAt(line: Uint8Array, at: number): Uint8Array | undefined {
  let text = '';
  for (const byte of line.subarray(at + 1, at + DIGEST_BYTES - 1)) text += String.fromCharCode(byte);
  return fromDigest(text);
}
