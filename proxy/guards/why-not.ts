// Why a call that is with its tool must not go on: everything that can have changed since the door, in the order in which the door asks. What cannot
// have changed (the bytes, the signature, whom the permit is for) is not looked at again. It decides in one tick and does nothing about it.

import type { RevocationKind } from '../../control-plane/permits/revocations.ts';
import { actionId } from '../../domain/action.ts';
import { type Denial, deny } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import type { CallId } from '../../domain/ids.ts';
import { type PermitClaims, permitMethod } from '../../domain/permit.ts';
import type { Shut } from '../governance.ts';

/** What becomes of a call that runs when other rules come into force. */
export type OnPolicyChange = 'cancel' | 'finish';

/** A call as it went through the door. */
export interface GuardedCall {
  readonly call: CallId;
  /** A question to a client stands in no chain of its own, but in the call within which it is asked; and one that was answered has left its chain. */
  readonly inChain: boolean;
  readonly claims: PermitClaims;
  /** The key that signed its permit. */
  readonly kid: string;
  /** The opening of the ledger that holds its intent. */
  readonly ledger: object;
  /** Which rules were in force at the door. */
  readonly rules: number;
}

/** The world as it is in this tick. */
export interface GuardedWorld {
  /** Why the gate is shut, if it is; that it stood still a moment ago is no reason to stop what runs. */
  readonly shut: () => Shut | undefined;
  readonly ledger: () => object;
  readonly revoked: (kind: RevocationKind, id: string) => boolean;
  readonly setAside: (server: string, agent: string) => Denial | undefined;
  /** What the server is now: the digest of its attestation, why there is none, or undefined where nobody can tell. */
  readonly attestation: (server: string) => Digest | Denial | undefined;
  /** The digest of what the call does, by its definition of now; undefined where that is unknown or another one. */
  readonly definition: (call: {
    readonly method: string;
    readonly server: string;
    readonly tool: string;
  }) => Digest | undefined;
  readonly rules: () => number;
  readonly onPolicyChange: (server: string) => OnPolicyChange;
  /** Why the call has no place in its chain any more. Whether there is time is not asked: what is above ends by its own deadline. */
  readonly ancestors: (call: CallId) => Denial | undefined;
}

/** The first reason to stop the call; undefined while it may go on. An exception of the world is the caller's to take as one. */
export function whyNot(guarded: GuardedCall, world: GuardedWorld): Denial | undefined {
  const { call, inChain, claims, kid, ledger, rules } = guarded;
  const [details] = claims.authorization_details;
  const { server, tool } = details;
  const shut = world.shut();
  if (shut !== undefined) return deny(shut.code, shut.detail);
  if (world.ledger() !== ledger) return deny('GOV_LEDGER_UNWRITABLE', 'the ledger was opened anew since the intent');
  const setAside = world.setAside(server, claims.sub);
  if (setAside !== undefined) return setAside;
  const { revoked } = world;
  if (revoked('jti', claims.jti)) return deny('REVOKED_JTI');
  if (revoked('root', claims.txn)) return deny('REVOKED_ROOT');
  if (revoked('node', claims.lin.node)) return deny('REVOKED_NODE');
  if (revoked('agent', claims.sub)) return deny('REVOKED_AGENT');
  if (revoked('server', server)) return deny('REVOKED_SERVER');
  const method = permitMethod(details);
  if (revoked('tool', actionId(method, server, tool))) return deny('REVOKED_TOOL');
  if (revoked('policy', claims.pol.dig)) return deny('REVOKED_POLICY');
  if (revoked('key', kid)) return deny('REVOKED_KEY');
  const attestation = world.attestation(server);
  if (attestation === undefined) return deny('ENV_UNKNOWN', server);
  if (typeof attestation !== 'string') return attestation;
  if (attestation !== claims.env.att) return deny('ENV_ATTESTATION', 'the server is not what it was at the door');
  if (world.definition({ method, server, tool }) !== claims.env.tool)
    return deny('ENV_TOOL_DEFINITION', 'the definition of the tool has changed since the door');
  if (world.rules() !== rules && world.onPolicyChange(server) !== 'finish')
    return deny('POLICY_DIGEST', 'other rules came into force');
  return inChain ? world.ancestors(call) : undefined;
}
