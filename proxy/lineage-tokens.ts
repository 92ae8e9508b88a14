// What callers show for the call that they work on, and what callees are given to show: tokens of this gate, and of the gates that it trusts. What one
// points at, and whether that still runs, is not decided here.

import { GenuineTokens } from '../control-plane/lineage/genuine-tokens.ts';
import type { Presented, Standing } from '../control-plane/lineage/place.ts';
import {
  type CheckedToken,
  checkLineageToken,
  mintLineageToken,
  type TokenReader,
  type TokenSigner,
} from '../control-plane/lineage/token.ts';
import { type Denial, deny } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import { ulid } from '../domain/ids.ts';
import { type LineageTokenClaims, readLineageToken } from '../domain/lineage-token.ts';
import type { Principal } from '../domain/principal.ts';
import type { Scope } from '../domain/scope.ts';
import type { Peers } from './peers.ts';
import type { Clock, GateCrypto } from './ports.ts';

/** The agent behind a server, and what it proves itself with at this gate. */
export interface Callee {
  readonly agent: string;
  readonly cnf: LineageTokenClaims['cnf'];
  /** Where it is a process that we started. */
  readonly process?: string;
  /** Other gates at which it may show its tokens, by issuer. */
  readonly peers?: readonly string[];
}

export interface LineageTokenPorts {
  readonly clock: Clock;
  readonly crypto: GateCrypto;
  readonly signer: TokenSigner;
  readonly reader: Omit<TokenReader, 'now'>;
  readonly issuer: string;
  /** What this gate itself is called in its tokens. */
  readonly audiences: readonly string[];
  readonly peers?: Pick<Peers, 'find' | 'expect'>;
}

export class LineageTokens {
  readonly #genuine = new GenuineTokens();
  readonly #ports: LineageTokenPorts;

  constructor(ports: LineageTokenPorts) {
    this.#ports = ports;
  }

  /** What somebody shows, if he may show it here. */
  read(token: string, principal: Principal, now: number): Presented | Denial {
    const { issuer, peers } = this.#ports;
    const checked = this.#check(token, principal);
    if ('code' in checked) return checked;
    const { claims, digest } = checked;
    const { root, node } = claims.lin;
    if (claims.iss === issuer) return { from: 'self', root, node, digest };
    const heard = peers?.find(claims.iss, node);
    // Of what is not known the registry says why.
    if (heard !== undefined && (heard.token !== digest || heard.root !== root))
      return deny('LINEAGE_UNKNOWN_PARENT', 'another token');
    return remoteParent(checked, heard?.deadline ?? now);
  }

  /** See `CallTree.expected`. */
  expected(token: string, principal: Principal): Promise<void> | undefined {
    const { peers, issuer } = this.#ports;
    if (peers === undefined || readLineageToken(token).payload().claims?.iss === issuer) return undefined;
    const checked = this.#check(token, principal);
    return 'code' in checked ? undefined : peers.expect(checked.claims.iss, checked.claims.lin.node);
  }

  /** What a callee shows for an execution, here and at these other gates; undefined when that is too much for a token. */
  mint(
    standing: Standing,
    callee: Callee,
    narrowing: Scope | undefined,
    now: number,
    peers: readonly string[],
  ): { readonly token: string; readonly digest: Digest } | undefined {
    const { signer, issuer, audiences, clock, crypto } = this.#ports;
    const at = clock.now();
    const { root, node, depth, chain, servers, agents, scopes, deadline } = standing;
    const scp = narrowing === undefined ? scopes : [...scopes, narrowing];
    const claims: LineageTokenClaims = {
      iss: issuer,
      sub: callee.agent,
      aud: [...audiences, ...peers],
      iat: Math.floor(at / 1_000),
      exp: Math.ceil((at + deadline - now) / 1_000),
      jti: ulid(at, crypto.randomBytes(10)),
      lin: { root, node, depth, chain, servers, agents },
      scp: scp as unknown as LineageTokenClaims['scp'],
      cnf: callee.cnf,
    };
    return mintLineageToken(claims, signer);
  }

  #check(token: string, { agent, connection, proofKey }: Principal): CheckedToken | Denial {
    const { reader, clock } = this.#ports;
    const bearer = { agent, connection, ...(proofKey === undefined ? {} : { proofKey }) };
    return checkLineageToken(token, { ...reader, now: clock.now(), genuine: this.#genuine }, bearer);
  }
}

function remoteParent({ claims, scopes }: CheckedToken, deadline: number): Presented {
  const { root, node, depth, chain, servers, agents } = claims.lin;
  return { from: 'peer', issuer: claims.iss, root, node, depth, chain, servers, agents, scopes, deadline };
}
