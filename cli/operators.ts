// Who may take authority away over HTTP and give it back, from the manifest, and what he orders: the same as on the command line, for all gates of this installation.

import { equalBytes } from '../adapters/crypto/node-crypto.ts';
import type { Operators } from '../adapters/downstream/ports.ts';
import { apiKeyDigest } from '../adapters/identity/api-key.ts';
import type { Manifest } from '../control-plane/policy/manifest.ts';
import type { JsonObject } from '../domain/json.ts';
import { type HealthSources, healthOf } from './gate-health.ts';
import type { Home } from './home.ts';
import { orderedJson, orderGates } from './operated-gates.ts';
import { standingOrders } from './orders.ts';
import { CommandError } from './output.ts';
import { isAsideKind } from './quarantines.ts';
import { isRevocable, REVOCABLE } from './revocable.ts';
import type { Order } from './standing-orders.ts';
import { SETTLEMENTS } from './unknown-calls.ts';

/** RFC 6750: the scheme in any case, one space, a token. */
const BEARER = /^bearer ([A-Za-z0-9_-]{1,64})$/i;

/** Undefined where the manifest names nobody. */
export function operatorsOf(
  { operators = {} }: Manifest,
  home: Home,
  secret: Uint8Array,
  gate: HealthSources,
): Operators | undefined {
  const known = Object.entries(operators);
  if (known.length === 0) return undefined;
  return {
    identify: (authorization = '') => {
      const [, key] = (authorization.length < 100 ? BEARER.exec(authorization) : null) ?? [];
      if (key === undefined) return undefined;
      const digest = Buffer.from(apiKeyDigest(key));
      // All are compared, so that it takes the same time whoever it is.
      const found = known.filter(([, { apiKey }]) => equalBytes(Buffer.from(apiKey), digest));
      return found[0]?.[0];
    },
    health: async () => healthOf(gate),
    orders: async () => (await standingOrders(home, secret)).map((order) => ({ ...order })),
    order: async (request, by) => {
      const { order, gate } = orderOf(request);
      if (typeof order === 'string') return { problem: order };
      try {
        const ordered = await orderGates(home, secret, order, { by, ...(gate === undefined ? {} : { gate }) });
        return { done: ordered.failed.length === 0, answer: orderedJson(ordered) };
      } catch (error) {
        if (error instanceof CommandError) return { problem: error.message };
        throw error;
      }
    },
  };
}

/** An order, or what is wrong with it. */
function orderOf({ order, gate, ...rest }: JsonObject): { readonly order: Order | string; readonly gate?: string } {
  const only = (...names: string[]): boolean => Object.keys(rest).every((name) => names.includes(name));
  if (gate !== undefined && (typeof gate !== 'string' || gate === '')) return { order: 'gate is the name of a gate' };
  const named = gate === undefined ? {} : { gate };
  const { kind, id, reason } = rest;
  switch (order) {
    case 'revoke': {
      if (!isRevocable(kind)) return { order: `kind is one of ${Object.keys(REVOCABLE).join(', ')}` };
      if (typeof id !== 'string' || id === '' || id.length > 1_024) return { order: 'id has 1 to 1,024 characters' };
      return only('kind', 'id') ? { order: { what: 'revoke', kind: REVOCABLE[kind], id }, ...named } : UNKNOWN_MEMBER;
    }
    case 'lift': {
      if (!isAsideKind(kind)) return { order: 'kind is one of agent, server' };
      if (typeof id !== 'string' || id === '' || id.length > 1_024) return { order: 'id has 1 to 1,024 characters' };
      return only('kind', 'id') ? { order: { what: 'lift', kind, id }, ...named } : UNKNOWN_MEMBER;
    }
    case 'halt':
      if (typeof reason !== 'string' || reason === '' || reason.length > 200)
        return { order: 'reason has 1 to 200 characters' };
      return only('reason') ? { order: { what: 'halt', reason }, ...named } : UNKNOWN_MEMBER;
    case 'resume':
      return only() ? { order: { what: 'resume' }, ...named } : UNKNOWN_MEMBER;
    case 'settle': {
      if (typeof rest.call !== 'string' || rest.call === '' || rest.call.length > 80)
        return { order: 'call is the id of a call' };
      const as = SETTLEMENTS.find((one) => one === rest.as);
      if (as === undefined) return { order: `as is one of ${SETTLEMENTS.join(', ')}` };
      return only('call', 'as') ? { order: { what: 'settle', call: rest.call, as }, ...named } : UNKNOWN_MEMBER;
    }
    default:
      return { order: 'order is one of revoke, halt, resume, lift, settle' };
  }
}

const UNKNOWN_MEMBER = { order: 'there is a member that this order does not have' } as const;
