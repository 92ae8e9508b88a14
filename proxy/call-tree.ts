// Calls as parts of chains, on the enforcing side: finds the place of a call from what its sender presents, gives whoever carries it out something to
// present in turn, and when something ends or is revoked, stops everything under it. What may join is the registry's to decide.

import type { AgentTerms, EarlierRound, Place, Presented } from '../control-plane/lineage/place.ts';
import type { RevokedThing } from '../control-plane/lineage/ports.ts';
import type { LineageRegistry } from '../control-plane/lineage/registry.ts';
import { isWithin } from '../control-plane/lineage/scope.ts';
import { encodeBase64url } from '../domain/base64url.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import { type Denial, type DenialCode, deny } from '../domain/denial.ts';
import type { CallId } from '../domain/ids.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { chainLink, type Lineage, rootLineage, type ShownCall } from '../domain/lineage.ts';
import type { Principal } from '../domain/principal.ts';
import type { Scope } from '../domain/scope.ts';
import type { Placing } from './captured-call.ts';
import { NARROWING_BYTES_MAX } from './limits.ts';
import { type Callee, type LineageTokenPorts, LineageTokens } from './lineage-tokens.ts';
import { LINEAGE_KEY } from './own-name.ts';
import type { Intent, Peers } from './peers.ts';
import type { OwnProcess } from './tool-server.ts';

/** The other gates, as chains need them. */
export type Elsewhere = Pick<
  Peers,
  'find' | 'expect' | 'reached' | 'running' | 'ended' | 'revoked' | 'stop' | 'joined'
>;

export interface CallTreePorts extends LineageTokenPorts {
  readonly registry: LineageRegistry;
  readonly terms: (principal: Principal) => AgentTerms;
  /** Undefined for a server that is no agent: it gets no token. `process`: the one that takes the call, where it is one that calls back. */
  readonly callee: (server: string, process: OwnProcess | undefined) => Callee | undefined;
  readonly peers?: Elsewhere;
}

/** A call on its way in. */
export interface Arriving extends Placing {
  readonly arguments: JsonObject;
  readonly token: string | undefined;
  /** The round that it goes on with. */
  readonly continues?: EarlierRound | undefined;
  readonly timeoutMs: number;
}

export interface Placed {
  readonly lineage: Lineage;
  /** Why it has no place; it is then denied whatever the rules say. */
  readonly refused: Denial | undefined;
  /** The most that it may take because of what it belongs to; infinite for a root. */
  readonly timeoutMs: number;
  /** What it hands on at most: as its sender says, or as the round said that it goes on with. */
  readonly narrowing: Scope | undefined;
}

const encoder = new TextEncoder();

export class CallTree {
  readonly #ports: CallTreePorts;
  readonly #tokens: LineageTokens;
  /** The executions that can be stopped, and what then must have ended. */
  readonly #running = new Map<CallId, { stop(code: DenialCode): void; readonly end: Promise<unknown> }>();
  /** Those under an execution of another gate. */
  readonly #remote = new Map<CallId, { readonly issuer: string; readonly node: CallId }>();
  /** What other gates say when told that one is over: why its result is not released, if they do not. */
  readonly #elsewhere = new Map<CallId, Promise<Denial | undefined>>();

  constructor(ports: CallTreePorts) {
    this.#ports = ports;
    this.#tokens = new LineageTokens(ports);
  }

  /** Finds the place of a call. Once placed it must be ended, whatever becomes of it. */
  place(arriving: Arriving): Placed {
    const { call, principal, timeoutMs, atMonotonic: now, continues } = arriving;
    const refuse = (refused: Denial, shown?: ShownCall): Placed => ({
      lineage: { ...rootLineage(call), ...(shown === undefined ? {} : { shown }) },
      refused,
      timeoutMs: Number.POSITIVE_INFINITY,
      narrowing: undefined,
    });
    const { narrowing = continues?.narrowed } = arriving;
    if (
      narrowing !== undefined &&
      encoder.encode(canonicalJson(narrowing as unknown as Json)).length > NARROWING_BYTES_MAX
    )
      return refuse(deny('LINEAGE_SCOPE_WIDENING', 'too much to be recorded'));
    // What was handed on with an earlier round is not handed on wider with a later one.
    if (narrowing !== undefined && continues?.narrowed !== undefined && !isWithin(narrowing, continues.narrowed))
      return refuse(deny('LINEAGE_SCOPE_WIDENING', continues.call));
    const presented = arriving.token === undefined ? undefined : this.#tokens.read(arriving.token, principal, now);
    if (presented !== undefined && 'code' in presented) return refuse(presented);
    const { sha256 } = this.#ports.crypto;
    const { agent } = principal;
    const { method, server, tool, args } = arriving;
    const place = this.#ports.registry.join({
      call,
      agent,
      terms: this.#ports.terms(principal),
      target: { method, server, tool, args: arriving.arguments },
      step: () => {
        const step = canonicalJson([agent, server, method, tool, arriving.argumentsJson]);
        return `sha256:${encodeBase64url(sha256(encoder.encode(step)))}`;
      },
      link: (above) => chainLink(sha256, above, { agent, server, tool, args }),
      ...(presented === undefined ? {} : { presented }),
      ...(principal.process === undefined ? {} : { process: principal.process }),
      ...(continues === undefined ? {} : { continues }),
      now,
      timeoutMs,
    });
    if ('code' in place) return refuse(place, presented === undefined ? undefined : this.#shown(presented));
    const { issuer, parent: node } = place;
    const isRemote = issuer !== undefined && node !== null;
    if (isRemote) this.#remote.set(call, { issuer, node });
    const entry = isRemote ? this.#ports.peers?.find(issuer, node)?.entry : undefined;
    const lineage = {
      ...lineageOf(place),
      ...(entry === undefined ? {} : { entry }),
      ...(narrowing === undefined ? {} : { narrowed: narrowing }),
    };
    return { lineage, refused: undefined, timeoutMs: Math.floor(place.deadline - now), narrowing };
  }

  #shown(presented: Presented): ShownCall {
    const { root, node } = presented;
    if (presented.from === 'self') return { root, node };
    const entry = this.#ports.peers?.find(presented.issuer, node)?.entry;
    return { root, node, issuer: presented.issuer, ...(entry === undefined ? {} : { entry }) };
  }

  /**
   * A token of another gate may be here before that gate has said that its execution runs. Resolves when it has, or has not in time; undefined
   * where nothing is to be waited for. Only who may show the token is waited for.
   */
  expected(token: string, principal: Principal): Promise<void> | undefined {
    return this.#tokens.expected(token, principal);
  }

  /** Makes known how a placed call is stopped, until it has ended. */
  watch(call: CallId, running: { stop(code: DenialCode): void; readonly end: Promise<unknown> }): void {
    this.#running.set(call, running);
    void running.end.then(() => {
      this.#running.delete(call);
      this.#remote.delete(call);
      this.#elsewhere.delete(call);
    });
  }

  /**
   * In the tick in which the call goes out: everything above is looked at once more. Yields what the callee gets in `_meta`: a token where it is
   * an agent, else nothing. `intent` is what the ledger holds of it.
   */
  handOver(
    call: CallId,
    server: string,
    narrowing: Scope | undefined,
    intent: Intent,
    process?: OwnProcess,
  ): { readonly meta: JsonObject } | Denial {
    const { registry, clock, peers } = this.#ports;
    const now = clock.monotonic();
    const callee = this.#ports.callee(server, process);
    const reached = peers?.reached(callee?.peers ?? []) ?? [];
    const standing = callee === undefined ? undefined : registry.standing(call, now);
    const token =
      callee === undefined || standing === undefined
        ? undefined
        : this.#tokens.mint(standing, callee, narrowing, now, reached);
    if (callee !== undefined && token === undefined) return deny('LINEAGE_TOKEN', 'too much for a token');
    const refused = registry.start(call, {
      now,
      ...(callee?.process === undefined ? {} : { process: callee.process }),
      ...(narrowing === undefined ? {} : { narrowing }),
      ...(token === undefined ? {} : { token: token.digest }),
    });
    if (refused !== undefined) return refused;
    const above = this.#remote.get(call);
    if (above !== undefined) peers?.joined(above.issuer, above.node, call, intent);
    if (token === undefined || standing === undefined) return { meta: {} };
    const { root, deadline } = standing;
    if (reached.length > 0) peers?.running({ root, node: call, token: token.digest, intent, deadline }, reached);
    return { meta: { [LINEAGE_KEY]: token.token } };
  }

  /**
   * The call is over: nothing joins under it any more, and everything under it is stopped, here and at other gates. Resolves when that has ended, or
   * a gate has not said so in time; undefined if there is none.
   */
  end(call: CallId): Promise<unknown> | undefined {
    const { registry, peers } = this.#ports;
    // What is over already may not be recorded yet: it waits for what is under it in turn.
    const ending = registry.under(call).flatMap((one) => this.#running.get(one)?.end ?? []);
    const open = registry.end(call);
    if (open.length > 0) void this.#stop(open, 'LINEAGE_PARENT_ENDED');
    const there = peers?.ended(call);
    if (there !== undefined) this.#elsewhere.set(call, there);
    const waited = there === undefined ? ending : [...ending, there];
    return waited.length === 0 ? undefined : Promise.all(waited);
  }

  /** Why the result of a call that is over must not be released, once the gates have spoken that know of it; undefined where none does. */
  elsewhere(call: CallId): Promise<Denial | undefined> | undefined {
    return this.#elsewhere.get(call);
  }

  /** Why a call that runs has no place any more. Whether it has time left is its own to say, and so it is for everything above it. */
  standing(call: CallId): Denial | undefined {
    return this.#ports.registry.problem(call, Number.NEGATIVE_INFINITY);
  }

  /** Whether anything under a root is still open. */
  isOpen(root: CallId): boolean {
    return this.#ports.registry.isOpen(root);
  }

  /** Stops everything that is meant, and resolves when it has ended. */
  async revoke(kind: RevokedThing, id: string): Promise<number> {
    const { registry, peers } = this.#ports;
    const calls = registry.revoke(kind, id);
    for (const call of calls) peers?.revoked(call);
    if (kind === 'root' || kind === 'node') peers?.stop(kind, id);
    await this.#stop(calls, 'LINEAGE_REVOKED');
    return calls.length;
  }

  /**
   * An execution of another gate is over, or all of its are believed to be. Stops everything under it, and resolves when that has ended and is
   * recorded.
   */
  async stopUnder(issuer: string, node: CallId | undefined, code: DenialCode): Promise<void> {
    const isMeant = (above: { issuer: string; node: CallId }) =>
      above.issuer === issuer && (node === undefined || above.node === node);
    // Some may have left the registry already, and are not recorded yet.
    const under = [...this.#remote].filter(([, above]) => isMeant(above)).map(([call]) => this.#running.get(call)?.end);
    const calls = this.#ports.registry.peerEnded(issuer, node);
    // Gates further down hear why.
    if (code === 'LINEAGE_REVOKED') for (const call of calls) this.#ports.peers?.revoked(call);
    await this.#stop(calls, code);
    await Promise.all(under);
  }

  async #stop(calls: readonly CallId[], code: DenialCode): Promise<void> {
    const running = calls.flatMap((call) => this.#running.get(call) ?? []);
    // From below: what stops first says why, and what is under it has stopped already.
    for (const one of running.toReversed()) one.stop(code);
    await Promise.all(running.map(({ end }) => end));
  }
}

function lineageOf({ root, node, parent, depth, origin, joined, issuer, above, agents, scopes }: Place): Lineage {
  return {
    root,
    node,
    parent,
    depth,
    ...(origin === 'root' ? {} : { origin }),
    ...(joined.length === 0 ? {} : { joined }),
    ...(issuer === undefined ? {} : { issuer }),
    ...(above === undefined ? {} : { above }),
    ...(agents.length === 0 ? {} : { agents }),
    ...(scopes.length === 0 ? {} : { scopes }),
  };
}
