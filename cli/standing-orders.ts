// What the operator can order of gates, and how an order is written down. Which of several orders still count is decided here; giving and taking them is
// orders.ts.

import { z } from 'zod';
import { REVOCATION_KINDS, type RevocationKind } from '../control-plane/permits/revocations.ts';
import type { Json } from '../domain/json.ts';
import type { AsideKind } from './quarantines.ts';
import { SETTLEMENTS, type Settlement } from './unknown-calls.ts';

const ID_CHARACTERS_MAX = 1_024;
const REASON_CHARACTERS_MAX = 200;

export type Order =
  | { readonly what: 'revoke'; readonly kind: RevocationKind; readonly id: string }
  | { readonly what: 'halt'; readonly reason: string }
  | { readonly what: 'resume' }
  /** A gate set it aside: so do those beside it. */
  | { readonly what: 'set-aside'; readonly kind: AsideKind; readonly id: string; readonly reason: string }
  | { readonly what: 'lift'; readonly kind: AsideKind; readonly id: string }
  /** A person has looked at a call of which nobody knew whether it ran. */
  | { readonly what: 'settle'; readonly call: string; readonly as: Settlement };

/** Whom an order is for and whose it is. */
export type OrderTerms = {
  /** Only for the gates of that name. */
  readonly gate?: string;
  /** The operator; absent where it was whoever can read the keys, or a gate itself. */
  readonly by?: string;
};

export type StandingOrder = Order & OrderTerms & { readonly number: number; readonly at: number };

const GIVEN = {
  number: z.number().int().positive(),
  at: z.number().int().nonnegative(),
  gate: z.string().min(1).max(80).optional(),
  by: z.string().min(1).max(80).optional(),
};
const id = z.string().min(1).max(ID_CHARACTERS_MAX);
const reason = z.string().max(REASON_CHARACTERS_MAX);
const kind = z.enum(['agent', 'server']);

const SCHEMA = z.array(
  z.discriminatedUnion('what', [
    z.strictObject({ ...GIVEN, what: z.literal('revoke'), kind: z.enum(REVOCATION_KINDS), id }),
    z.strictObject({ ...GIVEN, what: z.literal('halt'), reason }),
    z.strictObject({ ...GIVEN, what: z.literal('resume') }),
    z.strictObject({ ...GIVEN, what: z.literal('set-aside'), kind, id, reason }),
    z.strictObject({ ...GIVEN, what: z.literal('lift'), kind, id }),
    z.strictObject({ ...GIVEN, what: z.literal('settle'), call: z.string().min(1).max(80), as: z.enum(SETTLEMENTS) }),
  ]),
);

/** Undefined where that is no list of orders. */
export function readOrders(value: Json): StandingOrder[] | undefined {
  return SCHEMA.safeParse(value).data as StandingOrder[] | undefined;
}

/** Whether an order still counts beside one that was given after it. A revocation does for ever. */
export function standsBeside(earlier: StandingOrder, later: Order, { gate }: OrderTerms): boolean {
  switch (later.what) {
    case 'revoke':
    case 'settle':
      return true;
    case 'halt':
    case 'resume':
      return (earlier.what !== 'halt' && earlier.what !== 'resume') || earlier.gate !== gate;
    case 'set-aside':
    case 'lift': {
      if (earlier.what !== 'set-aside' && earlier.what !== 'lift') return true;
      const isOfThat = earlier.kind === later.kind && earlier.id === later.id;
      // What is lifted everywhere is lifted at each gate.
      return !isOfThat || !(earlier.gate === gate || (later.what === 'lift' && gate === undefined));
    }
  }
}
