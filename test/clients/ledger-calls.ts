// Calls of tools as the ledger has them, and how a step waits for one.

import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { check } from './judging.ts';
import type { UserHome } from './user-home.ts';

const POLL_MS = 250;
const WITHIN_MS = 90_000;

export interface LedgerCall {
  readonly id: string;
  readonly agent: string;
  readonly endings: number;
  /** Undefined while it runs. */
  readonly end: string | undefined;
  readonly code: string | undefined;
}

/** Calls of tools, the newest last. */
export function callsIn(entries: readonly JsonObject[]): LedgerCall[] {
  const ids = new Set(entries.flatMap(({ call }) => (typeof call === 'string' ? [call] : [])));
  return [...ids].flatMap((id) => {
    const own = entries.filter(({ call }) => call === id);
    const [first] = eventsOf(own[0]);
    if (first?.method !== 'tools/call') return [];
    const principal = isJsonObject(first.principal) ? first.principal : {};
    const endings = own.filter(({ type }) => type === 'call.ending' || type === 'call.denial');
    const [last] = endings;
    const outcome = isJsonObject(last?.outcome) ? last.outcome : {};
    const code = textOf(last?.code) ?? textOf(outcome.code);
    const end = last?.type === 'call.denial' ? 'denied' : textOf(outcome.status);
    return [{ id, agent: textOf(principal.agent) ?? '', endings: endings.length, end, code }];
  });
}

function eventsOf(entry: JsonObject | undefined): readonly JsonObject[] {
  return Array.isArray(entry?.events) ? (entry.events as readonly JsonObject[]) : [];
}

function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Waits until the calls in the ledger are so, and says what was found. */
export async function untilCalls<Found>(
  user: UserHome,
  find: (calls: LedgerCall[]) => Found | undefined,
  otherwise: string,
): Promise<Found> {
  const end = Date.now() + WITHIN_MS;
  for (;;) {
    const calls = callsIn(await user.entries());
    const found = find(calls);
    if (found !== undefined) return found;
    check(Date.now() < end, `${otherwise}: ${JSON.stringify(calls)}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
