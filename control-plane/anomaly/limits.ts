// How much of what goes wrong is too much, for agents and for servers, and what it is counted in. Absent means these numbers, never none: they can
// be set high, within a bound, and not away. In the ledger they stand beside the policy that they came into force with.

import type { JsonObject } from '../../domain/json.ts';
import { isJsonObject, type Json } from '../../domain/json.ts';
import type { Manifest } from '../policy/manifest.ts';

/** What is counted of somebody. */
export type Misdeed = 'denials' | 'errors' | 'timeouts' | 'restarts';

export type Counts = Readonly<Partial<Record<Misdeed, number>>> & { readonly windowMs: number };

export interface AnomalyLimits {
  readonly agents: Counts;
  readonly servers: Counts;
  /** Several agents share the servers: none of them fills more than half of what is counted of a server. */
  readonly shared: boolean;
}

/**
 * Found only by what runs away: a model that tries, is denied and tries again makes a few calls a second at most, a program with a fault hundreds.
 * Of calls in flight a thousand can be lost at once.
 */
export const ANOMALY_DEFAULTS = {
  agents: { windowMs: 60_000, denials: 10_000, errors: 10_000, timeouts: 5_000 },
  servers: { windowMs: 60_000, denials: 10_000, errors: 10_000, timeouts: 5_000, restarts: 300 },
} as const satisfies Record<string, Counts>;

/** Each is a number that is kept. */
export const COUNT_MAX = 100_000;
/** One is no pattern, and of two shares neither is the whole. */
export const COUNT_MIN = 2;
export const WINDOW_MS_MIN = 1_000;
export const WINDOW_MS_MAX = 3_600_000;

/** What a manifest says, with what it does not say. */
export function anomalyLimits({ agents, anomalies }: Pick<Manifest, 'agents' | 'anomalies'>): AnomalyLimits {
  return {
    agents: { ...ANOMALY_DEFAULTS.agents, ...defined(anomalies?.agents) },
    servers: { ...ANOMALY_DEFAULTS.servers, ...defined(anomalies?.servers) },
    shared: Object.keys(agents).length > 1,
  };
}

function defined(counts: Readonly<Record<string, number | undefined>> = {}): Record<string, number> {
  const known: Record<string, number> = {};
  for (const [name, value] of Object.entries(counts)) if (value !== undefined) known[name] = value;
  return known;
}

/** As an entry has it. */
export function limitsJson({ agents, servers, shared }: AnomalyLimits): JsonObject {
  return { agents: { ...agents }, servers: { ...servers }, shared };
}

/** What an entry says; undefined where it says none, or what is none. */
export function readLimits(value: Json | undefined): AnomalyLimits | undefined {
  if (!isJsonObject(value) || typeof value.shared !== 'boolean') return undefined;
  const agents = readCounts(value.agents);
  const servers = readCounts(value.servers);
  return agents === undefined || servers === undefined ? undefined : { agents, servers, shared: value.shared };
}

const MISDEEDS: readonly Misdeed[] = ['denials', 'errors', 'timeouts', 'restarts'];

function readCounts(value: Json | undefined): Counts | undefined {
  if (!isJsonObject(value)) return undefined;
  const { windowMs } = value;
  if (!isCount(windowMs, WINDOW_MS_MAX)) return undefined;
  const counts: Partial<Record<Misdeed, number>> = {};
  for (const misdeed of MISDEEDS) {
    const limit = value[misdeed];
    if (limit === undefined) continue;
    if (!isCount(limit, COUNT_MAX)) return undefined;
    counts[misdeed] = limit;
  }
  return { ...counts, windowMs };
}

function isCount(value: Json | undefined, max: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= max;
}
