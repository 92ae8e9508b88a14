// What an entry of the ledger counts as, and against whom. Only what somebody did himself counts against him: a denial against whoever asked, never
// against the server that he asked; what the gate, an operator or a restart did against nobody.

import type { DenialCode } from '../../domain/denial.ts';
import type { Entry } from '../../domain/entry.ts';
import { isJsonObject, type Json, type JsonObject } from '../../domain/json.ts';
import { eventsOf } from '../lineage/recorded-place.ts';
import type { Misdeed } from './limits.ts';

export interface Counted {
  readonly kind: 'agent' | 'server';
  readonly id: string;
  readonly misdeed: Misdeed;
  /** On whose call a server did it; undefined where it did it by itself. */
  readonly by?: string;
}

/** Who called whom, as the first entry of an execution says it. */
export interface Caller {
  readonly agent: string;
  readonly server: string;
  /** A server asks the client: whatever comes of it is not the agent's doing. */
  readonly isQuestion: boolean;
}

/** Before an agent's name there is none of this; a server that asks for something is recorded so. */
const SERVER_PREFIX = 'server:';

/** What whoever asks brings upon himself. Everything else was done to him. */
const OWN_DOING: ReadonlySet<Json | undefined> = new Set<DenialCode>([
  'MESSAGE_MALFORMED',
  'MESSAGE_TOO_LARGE',
  'MESSAGE_BATCH',
  'MESSAGE_DIRECTION',
  'METHOD_UNKNOWN',
  'METHOD_NOT_SERVED',
  'META_RESERVED',
  'NOT_INITIALIZED',
  'HEADER_MISMATCH',
  'REQUEST_STATE_INVALID',
  'TOOL_UNKNOWN',
  'ARG_INVALID',
  'ARG_NOT_REPRESENTABLE',
  'FACT_UNAVAILABLE',
  'POLICY_NO_PERMIT',
  'POLICY_FORBID',
  'RETRY_OF_UNKNOWN',
  'LINEAGE_MISSING',
  'LINEAGE_NOT_ROOT',
  'LINEAGE_TOKEN',
  'LINEAGE_ISSUER_UNTRUSTED',
  'LINEAGE_AUDIENCE',
  'LINEAGE_BEARER',
  'LINEAGE_UNKNOWN_PARENT',
  'LINEAGE_PARENT_NOT_EXECUTING',
  'LINEAGE_AMBIGUOUS',
  'LINEAGE_MIXED_ROOTS',
  'LINEAGE_DEPTH',
  'LINEAGE_CYCLE',
  'LINEAGE_FANOUT',
  'LINEAGE_TREE',
  'LINEAGE_SCOPE',
  'LINEAGE_SCOPE_WIDENING',
  'LINEAGE_MISMATCH',
  'LINEAGE_ROUND',
]);

const BAD_ANSWERS: ReadonlySet<Json | undefined> = new Set<DenialCode>([
  'OUTPUT_INVALID',
  'OUTPUT_TOO_LARGE',
  'OUTPUT_UNSUPPORTED',
]);

export function callerOf(entry: Entry): Caller | undefined {
  const [requested] = eventsOf(entry);
  if (requested?.type !== 'call.requested' || !isJsonObject(requested.principal)) return undefined;
  const { agent } = requested.principal;
  if (typeof agent !== 'string') return undefined;
  const isQuestion = isJsonObject(requested.relation) && requested.relation.kind === 'within';
  return { agent, server: typeof requested.server === 'string' ? requested.server : '', isQuestion };
}

/** A denial counts once, against whoever asked. */
export function countedInDenial(entry: Entry): readonly Counted[] {
  const caller = callerOf(entry);
  if (caller === undefined || !OWN_DOING.has(entry.code)) return [];
  const { agent, server, isQuestion } = caller;
  if (isQuestion) return [{ kind: 'server', id: server, misdeed: 'denials' }];
  if (agent.startsWith(SERVER_PREFIX))
    return [{ kind: 'server', id: agent.slice(SERVER_PREFIX.length), misdeed: 'denials' }];
  return [{ kind: 'agent', id: agent, misdeed: 'denials' }];
}

/** What an ending counts as, of an execution of this caller. */
export function countedInEnding(entry: Entry, { agent, server, isQuestion }: Caller): readonly Counted[] {
  if (isQuestion || !isJsonObject(entry.outcome)) return [];
  const own = (misdeed: Misdeed): Counted => ({ kind: 'agent', id: agent, misdeed });
  const theirs = (misdeed: Misdeed): Counted => ({ kind: 'server', id: server, misdeed, by: agent });
  const { status, code } = entry.outcome as JsonObject;
  switch (status) {
    case 'errored':
      return [own('errors'), theirs('errors')];
    case 'withheld':
      return BAD_ANSWERS.has(code) ? [theirs('errors')] : [];
    case 'timed_out':
      return [own('timeouts'), theirs('timeouts')];
    case 'unknown':
      // The gate itself was gone.
      return code === 'CRASH_INDETERMINATE' ? [] : [own('timeouts'), theirs('timeouts')];
    case 'aborted':
      return code === 'TOOL_SILENT' ? [own('timeouts'), theirs('timeouts')] : [];
    default:
      return [];
  }
}
