// The calls of a ledger held against the scopes that they carried, with the arguments out of the vault.

import { authorityProblem, stepOf } from '../control-plane/lineage/authority-again.ts';
import { eventsOf, type RecordedPlace, recordedPlace } from '../control-plane/lineage/recorded-place.ts';
import type { Digest } from '../domain/digest.ts';
import type { Entry } from '../domain/entry.ts';
import { isJsonObject, type Json } from '../domain/json.ts';
import type { Payload } from '../ledger/vault.ts';

/** No chain is longer, in any gate. */
const CHAIN_MAX = 64;

export interface AuthorityVerdict {
  readonly verdict: 'match' | 'mismatch' | 'not replayable';
  readonly difference?: string;
}

export class AuthorityAgain {
  readonly #places = new Map<string, RecordedPlace>();
  readonly #payloads: ReadonlyMap<Digest, Payload>;

  constructor(entries: Iterable<Entry>, payloads: ReadonlyMap<Digest, Payload>) {
    this.#payloads = payloads;
    for (const entry of entries) {
      const place = entry.type === 'call.intent' ? recordedPlace(entry, eventsOf(entry)) : undefined;
      if (typeof place === 'object') this.#places.set(place.call, place);
    }
  }

  /** Of a call with its entries; undefined where it never began, or nothing above it and nothing that it handed on could limit anything. */
  of(call: string, recorded: readonly Entry[]): AuthorityVerdict | undefined {
    const place = this.#places.get(call);
    if (place === undefined) return undefined;
    if (place.scopes.length === 0 && place.parent === undefined) return undefined;
    const text = this.#argumentsOf(place);
    const args = text === undefined ? undefined : (JSON.parse(text) as Json);
    if (text === undefined || !isJsonObject(args))
      return { verdict: 'not replayable', difference: 'the arguments are not in the vault' };
    const ending = recorded.find(({ type }) => type === 'call.ending')?.outcome;
    const dispatched = !isJsonObject(ending) || ending.dispatched !== false;
    const problem = authorityProblem(place, args, dispatched) ?? this.#problemAbove(place, stepOf(place, text));
    return problem === undefined ? { verdict: 'match' } : { verdict: 'mismatch', difference: problem };
  }

  /** The same call above it. Rounds that it goes on with are beside it. */
  #problemAbove(place: RecordedPlace, step: string): string | undefined {
    let above = this.#parentOf(place);
    for (let depth = 0; above !== undefined && depth < CHAIN_MAX; depth++) {
      const text = this.#argumentsOf(above);
      if (text !== undefined && stepOf(above, text) === step) return `the same call is above it: ${above.call}`;
      above = this.#parentOf(above);
    }
    return undefined;
  }

  #parentOf({ parent, issuer }: RecordedPlace): RecordedPlace | undefined {
    return parent === undefined || issuer !== undefined ? undefined : this.#places.get(parent);
  }

  #argumentsOf({ args }: RecordedPlace): string | undefined {
    const payload = this.#payloads.get(args as Digest);
    return payload === undefined ? undefined : Buffer.from(payload.bytes).toString();
  }
}
