// Every MCP message there is, and what this gate does with it in each era. The tables are closed: what is not in them is refused and recorded.
// test/unit/proxy/method-table.test.ts compares them with the published schema of every revision.

import type { DenialCode } from '../domain/denial.ts';
import type { Era } from './tool-server.ts';

export type Sender = 'client' | 'server';
export type MessageKind = 'request' | 'notification';

export type MethodAction =
  /** The whole machine: permit, intent, outcome. */
  | 'govern'
  /** Answered or passed on from what we hold, filtered for the principal. */
  | 'filter'
  /** Answered or absorbed here; nothing is forwarded. */
  | 'local'
  /** Refused and recorded. */
  | 'deny';

export interface MethodRow {
  readonly era: Era;
  readonly sender: Sender;
  readonly kind: MessageKind;
  readonly method: string;
  readonly action: MethodAction;
}

/** The revisions that begin with `initialize`, oldest first. The last is offered to a client that asks for one we do not know. */
export const SERVED_REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'] as const;
export type ServedRevision = (typeof SERVED_REVISIONS)[number];

export const LATEST_REVISION: ServedRevision = '2025-11-25';

/** The revision of the modern era: every request names it. */
export const MODERN_REVISION = '2026-07-28';

export function isServedRevision(text: string): text is ServedRevision {
  return (SERVED_REVISIONS as readonly string[]).includes(text);
}

function rows(era: Era, sender: Sender, kind: MessageKind, actions: Record<string, MethodAction>): MethodRow[] {
  return Object.entries(actions).map(([method, action]) => ({ era, sender, kind, method, action }));
}

const LEGACY_ROWS: readonly MethodRow[] = [
  ...rows('legacy', 'client', 'request', {
    initialize: 'local',
    ping: 'local',
    'tools/list': 'filter',
    'tools/call': 'govern',
    'prompts/list': 'filter',
    'prompts/get': 'govern',
    'resources/list': 'filter',
    'resources/templates/list': 'filter',
    'resources/read': 'govern',
    'resources/subscribe': 'govern',
    'resources/unsubscribe': 'govern',
    'completion/complete': 'govern',
    'logging/setLevel': 'local',
    'tasks/get': 'govern',
    // Its own tasks only, from what we remember: a server's list would tell of everybody's.
    'tasks/list': 'filter',
    'tasks/result': 'govern',
    'tasks/cancel': 'govern',
    // Of the other era. Clients that probe for it fall back to initialize.
    'server/discover': 'deny',
    'subscriptions/listen': 'deny',
    'tasks/update': 'deny',
  }),
  ...rows('legacy', 'client', 'notification', {
    'notifications/initialized': 'local',
    'notifications/cancelled': 'local',
    // What the roots are is asked each time: nobody keeps them.
    'notifications/roots/list_changed': 'local',
    'notifications/progress': 'filter',
    // Of tasks that a client works on: we give it none.
    'notifications/tasks/status': 'deny',
  }),
  ...rows('legacy', 'server', 'request', {
    ping: 'local',
    'sampling/createMessage': 'govern',
    'elicitation/create': 'govern',
    'roots/list': 'govern',
    // About tasks that a client works on: we give it none.
    'tasks/get': 'deny',
    'tasks/list': 'deny',
    'tasks/result': 'deny',
    'tasks/cancel': 'deny',
  }),
  ...rows('legacy', 'server', 'notification', {
    'notifications/progress': 'filter',
    'notifications/message': 'filter',
    'notifications/cancelled': 'filter',
    'notifications/tools/list_changed': 'filter',
    'notifications/prompts/list_changed': 'filter',
    'notifications/resources/list_changed': 'filter',
    'notifications/resources/updated': 'filter',
    'notifications/elicitation/complete': 'filter',
    'notifications/tasks/status': 'filter',
  }),
];

const MODERN_ROWS: readonly MethodRow[] = [
  ...rows('modern', 'client', 'request', {
    'server/discover': 'local',
    'tools/list': 'filter',
    'tools/call': 'govern',
    'prompts/list': 'filter',
    'prompts/get': 'govern',
    'resources/list': 'filter',
    'resources/templates/list': 'filter',
    'resources/read': 'govern',
    'completion/complete': 'govern',
    'subscriptions/listen': 'filter',
    // Of the extension io.modelcontextprotocol/tasks.
    'tasks/get': 'govern',
    'tasks/update': 'govern',
    'tasks/cancel': 'govern',
    // Of the other era.
    initialize: 'deny',
    ping: 'deny',
    'resources/subscribe': 'deny',
    'resources/unsubscribe': 'deny',
    'logging/setLevel': 'deny',
    'tasks/list': 'deny',
    'tasks/result': 'deny',
  }),
  ...rows('modern', 'client', 'notification', {
    'notifications/cancelled': 'local',
    'notifications/initialized': 'deny',
    'notifications/progress': 'deny',
    'notifications/roots/list_changed': 'deny',
  }),
  // A server asks nothing by itself any more: what it needs is in its answer.
  ...rows('modern', 'server', 'request', {
    ping: 'deny',
    'sampling/createMessage': 'deny',
    'elicitation/create': 'deny',
    'roots/list': 'deny',
  }),
  ...rows('modern', 'server', 'notification', {
    'notifications/progress': 'filter',
    'notifications/message': 'filter',
    'notifications/cancelled': 'filter',
    'notifications/tools/list_changed': 'filter',
    'notifications/prompts/list_changed': 'filter',
    'notifications/resources/list_changed': 'filter',
    'notifications/resources/updated': 'filter',
    'notifications/subscriptions/acknowledged': 'filter',
    'notifications/tasks': 'filter',
    'notifications/elicitation/complete': 'deny',
  }),
];

export const METHOD_ROWS: readonly MethodRow[] = [...LEGACY_ROWS, ...MODERN_ROWS];

const TABLE: ReadonlyMap<string, MethodRow> = new Map(
  METHOD_ROWS.map((row) => [`${row.era} ${row.sender} ${row.kind} ${row.method}`, row]),
);

/** Exact match only: no case folding, no trimming. Undefined means refused and recorded. */
export function lookupMethod(era: Era, sender: Sender, kind: MessageKind, method: string): MethodRow | undefined {
  return TABLE.get(`${era} ${sender} ${kind} ${method}`);
}

/** Why a message of this sender is refused that its era does not serve: `row` is what the table has for it, if anything. */
export function unservedCode(sender: Sender, method: string, row: MethodRow | undefined): DenialCode {
  if (row !== undefined) return 'METHOD_NOT_SERVED';
  return isOfOtherSide(sender, method) ? 'MESSAGE_DIRECTION' : 'METHOD_UNKNOWN';
}

/** The member of the params that names the target of a request. `Mcp-Name` repeats it in 2026-07-28. */
export const NAMED_BY: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};

/** Whether only the other side may send this method: then the message travels in the wrong direction. */
function isOfOtherSide(sender: Sender, method: string): boolean {
  const named = METHOD_ROWS.filter((row) => row.method === method);
  return named.length > 0 && named.every((row) => row.sender !== sender);
}
