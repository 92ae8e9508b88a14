// Calls as parts of chains, on the enforcing side: finds the place of a call from what its sender presents, gives whoever carries it out something to
// present in turn, and when something ends or is revoked, stops everything under it. What may join is the registry's to decide.

import type { AgentTerms, Place, Presented } from '../control-plane/lineage/place.ts';
import type { RevokedThing } from '../control-plane/lineage/ports.ts';
import type { LineageRegistry } from '../control-plane/lineage/registry.ts';
import {
  type CheckedToken,
  checkLineageToken,
  mintLineageToken,
  type TokenReader,
  type TokenSigner,
} from '../control-plane/lineage/token.ts';
import { encodeBase64url } from '../domain/base64url.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import { type Denial, type DenialCode, deny } from '../domain/denial.ts';
import { type CallId, ulid } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import { chainLink, type Lineage, rootLineage } from '../domain/lineage.ts';
import type { LineageTokenClaims } from '../domain/lineage-token.ts';
import type { Principal } from '../domain/principal.ts';
import type { Scope } from '../domain/scope.ts';
import type { Placing } from './captured-call.ts';
import { LINEAGE_KEY } from './own-name.ts';
import type { Clock, GateCrypto } from './ports.ts';
import type { OwnProcess } from './tool-server.ts';

/** The agent behind a server, and what it proves itself with at this gate. */
export interface Callee {
  readonly agent: string;
  readonly cnf: LineageTokenClaims['cnf'];
  /** Where it is a process that we started. */
  readonly process?: string;
}

export interface CallTreePorts {
  readonly registry: LineageRegistry;
  readonly clock: Clock;
  readonly crypto: GateCrypto;
  readonly signer: TokenSigner;
  readonly reader: Omit<TokenReader, 'now'>;
  readonly issuer: string;
  /** The gates at which tokens of this one may be shown. */
  readonly audiences: readonly string[];
  readonly terms: (principal: Principal) => AgentTerms;
  /** Undefined for a server that is no agent: it gets no token. `process`: the one that takes the call, where it is one that calls back. */
  readonly callee: (server: string, process: OwnProcess | undefined) => Callee | undefined;
}

/** A call on its way in. */
export interface Arriving extends Placing {
  readonly arguments: JsonObject;
  readonly token: string | undefined;
  readonly timeoutMs: number;
}

export interface Placed {
  readonly lineage: Lineage;
  /** Why it has no place; it is then denied whatever the rules say. */
  readonly refused: Denial | undefined;
  /** The most that it may take because of what it belongs to; infinite for a root. */
  readonly timeoutMs: number;
}

const encoder = new TextEncoder();

export class CallTree {
  readonly #ports: CallTreePorts;
  /** The executions that can be stopped, and what then must have ended. */
  readonly #running = new Map<CallId, { stop(code: DenialCode): void; readonly end: Promise<unknown> }>();

  constructor(ports: CallTreePorts) {
    this.#ports = ports;
  }

  /** Finds the place of a call. Once placed it must be ended, whatever becomes of it. */
  place(arriving: Arriving): Placed {
    const { call, principal, timeoutMs, atMonotonic: now } = arriving;
    const refuse = (refused: Denial): Placed => ({
      lineage: rootLineage(call),
      refused,
      timeoutMs: Number.POSITIVE_INFINITY,
    });
    const presented = arriving.token === undefined ? undefined : this.#read(arriving.token, principal, now);
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
      now,
      timeoutMs,
    });
    if ('code' in place) return refuse(place);
    return { lineage: lineageOf(place), refused: undefined, timeoutMs: Math.floor(place.deadline - now) };
  }

  /** Makes known how a placed call is stopped, until it has ended. */
  watch(call: CallId, running: { stop(code: DenialCode): void; readonly end: Promise<unknown> }): void {
    this.#running.set(call, running);
    void running.end.then(() => this.#running.delete(call));
  }

  /**
   * In the tick in which the call goes out: everything above is looked at once more. Yields what the callee gets in `_meta`: a token where it is
   * an agent, else nothing.
   */
  handOver(
    call: CallId,
    server: string,
    narrowing: Scope | undefined,
    process?: OwnProcess,
  ): { readonly meta: JsonObject } | Denial {
    const { registry, clock } = this.#ports;
    const now = clock.monotonic();
    const callee = this.#ports.callee(server, process);
    const token = callee === undefined ? undefined : this.#mint(call, callee, narrowing, now);
    if (callee !== undefined && token === undefined) return deny('LINEAGE_TOKEN', 'too much for a token');
    const refused = registry.start(call, {
      now,
      ...(callee?.process === undefined ? {} : { process: callee.process }),
      ...(narrowing === undefined ? {} : { narrowing }),
      ...(token === undefined ? {} : { token: token.digest }),
    });
    return refused ?? { meta: token === undefined ? {} : { [LINEAGE_KEY]: token.token } };
  }

  /** The call is over: nothing joins under it any more, and everything under it is stopped. Resolves when that has ended; undefined if there is none. */
  end(call: CallId): Promise<void> | undefined {
    const open = this.#ports.registry.end(call);
    return open.length === 0 ? undefined : this.#stop(open, 'LINEAGE_PARENT_ENDED');
  }

  /** Stops everything that is meant, and resolves when it has ended. */
  async revoke(kind: RevokedThing, id: string): Promise<number> {
    const calls = this.#ports.registry.revoke(kind, id);
    await this.#stop(calls, 'LINEAGE_REVOKED');
    return calls.length;
  }

  async #stop(calls: readonly CallId[], code: DenialCode): Promise<void> {
    const running = calls.flatMap((call) => this.#running.get(call) ?? []);
    // From below: what stops first says why, and what is under it has stopped already.
    for (const one of running.toReversed()) one.stop(code);
    await Promise.all(running.map(({ end }) => end));
  }

  #read(token: string, { agent, connection, proofKey }: Principal, now: number): Presented | Denial {
    const { reader, clock, issuer } = this.#ports;
    const bearer = { agent, connection, ...(proofKey === undefined ? {} : { proofKey }) };
    const checked = checkLineageToken(token, { ...reader, now: clock.now() }, bearer);
    if ('code' in checked) return checked;
    const { claims, digest } = checked;
    if (claims.iss === issuer) return { from: 'self', root: claims.lin.root, node: claims.lin.node, digest };
    return remoteParent(checked, now, clock.now());
  }

  #mint(call: CallId, callee: Callee, narrowing: Scope | undefined, now: number) {
    const { registry, signer, issuer, audiences, clock, crypto } = this.#ports;
    const place = registry.standing(call, now);
    if (place === undefined) return undefined;
    const at = clock.now();
    const { root, node, depth, chain, servers, agents } = place;
    const scp = narrowing === undefined ? place.scopes : [...place.scopes, narrowing];
    const claims: LineageTokenClaims = {
      iss: issuer,
      sub: callee.agent,
      aud: audiences,
      iat: Math.floor(at / 1_000),
      exp: Math.ceil((at + place.deadline - now) / 1_000),
      jti: ulid(at, crypto.randomBytes(10)),
      lin: { root, node, depth, chain, servers, agents },
      scp: scp as unknown as LineageTokenClaims['scp'],
      cnf: callee.cnf,
    };
    return mintLineageToken(claims, signer);
  }
}

function remoteParent({ claims, scopes }: CheckedToken, now: number, at: number): Presented {
  const { root, node, depth, chain, servers, agents } = claims.lin;
  const deadline = now + claims.exp * 1_000 - at;
  return { from: 'peer', issuer: claims.iss, root, node, depth, chain, servers, agents, scopes, deadline };
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
