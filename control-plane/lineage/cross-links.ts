// Whether ledgers of several gates say the same of a chain that goes through them: the intent below names the intent above by log, position and leaf
// hash, and the ledger above names the one below. What one names, the other must hold, and hold so. Pure: who reads the ledgers reads them twice.

import type { Digest, Sha256 } from '../../domain/digest.ts';
import type { Entry } from '../../domain/entry.ts';
import type { LedgerPosition } from '../../domain/feed-message.ts';
import { isJsonObject, type Json } from '../../domain/json.ts';
import { chainLink } from '../../domain/lineage.ts';
import { LINEAGE_LIMITS, type LineageLimits } from './limits.ts';
import { problemsUnder } from './place-problems.ts';
import { eventsOf, type RecordedPlace, recordedPlace } from './recorded-place.ts';

export interface LinkFinding {
  readonly log: string;
  readonly seq: number;
  readonly call: string;
  readonly detail: string;
}

/** What one entry says of one in another ledger. */
interface Claim {
  readonly log: string;
  readonly seq: number;
  readonly call: string;
  readonly at: LedgerPosition;
  /** The call whose intent is said to lie there. */
  readonly named: string;
  /** Of the call below, where it is the one that speaks. */
  readonly below: RecordedPlace | undefined;
}

interface Seen {
  readonly leaf: Digest;
  readonly call: string;
  readonly place: RecordedPlace | undefined;
}

export interface LinkReport {
  /** Links between ledgers that are here. */
  readonly checked: number;
  /** Of those, the ones that both ledgers tell. */
  readonly bothWays: number;
  /** Links into ledgers that are not here. */
  readonly elsewhere: number;
  readonly findings: readonly LinkFinding[];
}

export class CrossLinks {
  readonly #sha256: Sha256;
  readonly #limits: LineageLimits;
  readonly #claims: Claim[] = [];
  readonly #logs = new Set<string>();
  readonly #seen = new Map<string, Seen>();

  constructor(sha256: Sha256, limits: LineageLimits = LINEAGE_LIMITS) {
    this.#sha256 = sha256;
    this.#limits = limits;
  }

  /** In the first reading, each entry. */
  note(entry: Entry): void {
    this.#logs.add(entry.log);
    const { log, seq } = entry;
    if (entry.type === 'peer.joined' && typeof entry.child === 'string' && typeof entry.node === 'string') {
      const at = positionOf(entry.entry);
      if (at !== undefined) this.#claims.push({ log, seq, call: entry.node, at, named: entry.child, below: undefined });
    }
    if (entry.type !== 'call.intent') return;
    const [requested] = eventsOf(entry);
    const at = isJsonObject(requested?.lineage) ? positionOf(requested.lineage.entry) : undefined;
    const below = at === undefined ? undefined : placeOf(entry);
    // A question within a call names what is above that call: the call has said so itself.
    if (at === undefined || below?.parent === undefined || below.relation?.kind === 'within') return;
    this.#claims.push({ log, seq, call: below.call, at, named: below.parent, below });
  }

  /** The positions in a log that are to be looked at in the second reading. */
  wanted(log: string): ReadonlySet<number> {
    return new Set(this.#claims.filter(({ at }) => at.log === log).map(({ at }) => at.seq));
  }

  /** In the second reading, each entry that is wanted. */
  look(entry: Entry, leaf: Digest): void {
    const call = entry.type === 'call.intent' ? String(entry.call) : '';
    this.#seen.set(`${entry.log} ${entry.seq}`, { leaf, call, place: placeOf(entry) });
  }

  report(): LinkReport {
    const here = this.#claims.filter(({ at }) => this.#logs.has(at.log));
    const told = new Set(here.filter(({ below }) => below === undefined).map(({ at, named }) => `${at.log} ${named}`));
    const upwards = here.filter(({ below }) => below !== undefined);
    return {
      checked: here.length,
      bothWays: upwards.filter(({ log, call }) => told.has(`${log} ${call}`)).length,
      elsewhere: this.#claims.length - here.length,
      findings: here.flatMap((claim) =>
        this.#problemsOf(claim).map((detail) => ({ log: claim.log, seq: claim.seq, call: claim.call, detail })),
      ),
    };
  }

  #problemsOf({ at, named, call, below }: Claim): readonly string[] {
    const where = `entry ${at.seq} of ${at.log}`;
    const seen = this.#seen.get(`${at.log} ${at.seq}`);
    if (seen === undefined) return [`${where} is not there`];
    if (seen.leaf !== at.leaf) return [`${where} is another one`];
    if (seen.call !== named || seen.place === undefined) return [`${where} is not the intent of ${named}`];
    if (below === undefined)
      return seen.place.parent === call ? [] : [`${where} does not say that it is under ${call}`];
    const { place } = seen;
    // What else its process works on lies in its own ledger, and can only be deeper.
    const judged = below.joined.length === 0 ? below : { ...below, depth: place.depth + 1 };
    const tree = { key: '', size: 0, open: 0, names: [] };
    const parent = { place, seq: at.seq, epoch: 0, tree, parents: [], rounds: [], isOpen: true, born: 0 };
    const { above, agent, server, tool, args } = place;
    const link = chainLink(this.#sha256, above as Digest | undefined, { agent, server, tool, args: args as Digest });
    const rest = { openBelow: undefined, link, against: undefined };
    return problemsUnder(judged, [{ ...parent, ...rest }], link, this.#limits).map(([, detail]) => detail);
  }
}

function placeOf(entry: Entry): RecordedPlace | undefined {
  const place = recordedPlace(entry, eventsOf(entry));
  return typeof place === 'object' ? place : undefined;
}

function positionOf(value: Json | undefined): LedgerPosition | undefined {
  if (!isJsonObject(value)) return undefined;
  const { log, seq, leaf } = value;
  if (typeof log !== 'string' || typeof seq !== 'number' || typeof leaf !== 'string') return undefined;
  return { log, seq, leaf: leaf as Digest };
}
