// Entries of a gate, made up: histories that no gate would write, and the one beside each that it would.

import { sha256 } from '../../adapters/crypto/node-crypto.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Entry } from '../../domain/entry.ts';
import type { JsonObject } from '../../domain/json.ts';
import { chainLink } from '../../domain/lineage.ts';
import type { Scope } from '../../domain/scope.ts';

export interface Told {
  readonly parent?: string;
  readonly joined?: readonly string[];
  readonly scopes?: readonly Scope[];
  readonly narrowed?: Scope;
  readonly agent?: string;
  readonly server?: string;
  readonly tool?: string;
  readonly method?: string;
  readonly relation?: { readonly kind: 'within' | 'continues'; readonly call: string };
  readonly issuer?: string;
  readonly permit?: string;
  /** What it says instead of what is true. */
  readonly lies?: JsonObject;
}

interface Stood {
  readonly root: string;
  readonly depth: number;
  readonly agents: readonly string[];
  readonly link: Digest;
  readonly place: JsonObject;
}

/** The arguments of every call: what lies in the vault for them is the test's to say. */
export const ARGS: Digest = 'sha256:CQdyz0Bolz2q0_cV63iNOf4sAr5C79ht6B8OWRmNYjc';

export class History {
  readonly entries: Entry[] = [];
  readonly log: string;
  readonly #stood: Map<string, Stood>;
  #epoch = 1;
  now = Date.UTC(2026, 0, 1);

  /** `above`: of another gate, whose calls this one's may be under. */
  constructor(log = 'portcullis.test/one', above?: History) {
    this.log = log;
    this.#stood = above === undefined ? new Map() : above.#stood;
  }

  entry(type: string, more: JsonObject = {}): this {
    const ts = new Date(this.now++).toISOString();
    this.entries.push({
      v: 1,
      log: this.log,
      seq: this.entries.length,
      epoch: this.#epoch,
      ts,
      type,
      ...more,
    } as unknown as Entry);
    return this;
  }

  /** A call under its parent, or a root, as a gate records it. */
  intent(call: string, told: Told = {}): this {
    const {
      agent = 'a',
      method = 'tools/call',
      server = `server-of-${call}`,
      tool = 't',
      relation,
      lies = {},
      permit = 'a.b.c',
    } = told;
    const place = this.#placeOf(call, told);
    const link = chainLink(sha256, place.above as Digest | undefined, { agent, server, tool, args: ARGS });
    const { root, depth, agents = [] } = place as unknown as Stood;
    this.#stood.set(call, { root, depth, agents: [...agents, agent], link, place });
    const requested = {
      type: 'call.requested',
      call,
      method,
      server,
      tool,
      principal: { agent },
      args: { commitment: ARGS, bytes: 2 },
      lineage: { ...place, ...lies },
      ...(relation === undefined ? {} : { relation }),
    };
    const allowed = { type: 'decision.allowed', policy: 'sha256:policy', permit };
    return this.entry('call.intent', {
      call,
      events: [requested, allowed, { type: 'permit.verified', jti: `jti-${call}` }],
    });
  }

  ending(call: string, status = 'completed', dispatched = true): this {
    const answered =
      status === 'incomplete' ? { type: 'tool.answered', incomplete: 'input_required' } : { type: 'tool.answered' };
    return this.entry('call.ending', {
      call,
      outcome: { status, dispatched },
      events: [{ type: 'intent.recorded' }, answered],
    });
  }

  /** Denied before it began; with what is told of it, where it stood. */
  denial(call: string, told?: Told): this {
    if (told === undefined) return this.entry('call.denial', { call, code: 'POLICY_NO_PERMIT', events: [] });
    this.intent(call, told);
    const { events } = this.entries.pop() as Entry;
    return this.entry('call.denial', { call, code: 'POLICY_NO_PERMIT', events: (events as JsonObject[]).slice(0, 1) });
  }

  /** A crash, and what the next start makes of what was open. */
  restart(...open: readonly string[]): this {
    this.#epoch += 1;
    this.entry('log.recovered', { after: 'crash' });
    for (const call of open) this.recovered(call);
    return this;
  }

  recovered(call: string): this {
    return this.entry('call.ending', {
      call,
      outcome: { status: 'unknown', dispatched: true, code: 'CRASH_INDETERMINATE' },
      events: [{ type: 'intent.recorded' }, { type: 'gate.restarted', epoch: this.#epoch }],
    });
  }

  revoked(kind: string, id: string): this {
    return this.entry('revocation.added', { number: this.entries.length, kind, id });
  }

  #placeOf(call: string, { parent, joined, scopes, narrowed, relation, issuer }: Told): JsonObject {
    const own = {
      ...(scopes === undefined ? {} : { scopes }),
      ...(narrowed === undefined ? {} : { narrowed }),
    } as unknown as JsonObject;
    const related = relation === undefined ? undefined : this.#stood.get(relation.call);
    if (related !== undefined) return { ...related.place, node: call, ...own };
    const above = parent === undefined ? undefined : this.#stood.get(parent);
    if (parent === undefined || above === undefined) return { root: call, node: call, parent: null, depth: 0, ...own };
    const depths = [parent, ...(joined ?? [])].map((name) => this.#stood.get(name)?.depth ?? 0);
    return {
      root: above.root,
      node: call,
      parent,
      depth: Math.max(...depths) + 1,
      origin: issuer === undefined ? 'token' : 'peer',
      above: above.link,
      agents: above.agents,
      ...(joined === undefined ? {} : { joined }),
      ...(issuer === undefined ? {} : { issuer }),
      ...own,
    };
  }
}
