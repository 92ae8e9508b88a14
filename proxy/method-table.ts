// Every MCP message there is, and what this gate does with it. The table is closed: what is not in it is refused and recorded.
// test/unit/proxy/method-table.test.ts compares it with the published schema of every revision.

export type Sender = 'client' | 'server';
export type MessageKind = 'request' | 'notification';

export type MethodAction =
  /** The whole machine: permit, intent, outcome. */
  | 'govern'
  /** Answered from what we hold, filtered for the principal. */
  | 'filter'
  /** Answered or absorbed here; nothing is forwarded. */
  | 'local'
  /** Refused and recorded. */
  | 'deny';

export interface MethodRow {
  readonly sender: Sender;
  readonly kind: MessageKind;
  readonly method: string;
  readonly action: MethodAction;
}

/** The revisions served to clients, oldest first. The last is offered to a client that asks for one we do not know. */
export const SERVED_REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'] as const;
export type ServedRevision = (typeof SERVED_REVISIONS)[number];

export const LATEST_REVISION: ServedRevision = '2025-11-25';

export function isServedRevision(text: string): text is ServedRevision {
  return (SERVED_REVISIONS as readonly string[]).includes(text);
}

function rows(sender: Sender, kind: MessageKind, actions: Record<string, MethodAction>): MethodRow[] {
  return Object.entries(actions).map(([method, action]) => ({ sender, kind, method, action }));
}

export const METHOD_ROWS: readonly MethodRow[] = [
  ...rows('client', 'request', {
    initialize: 'local',
    ping: 'local',
    'tools/list': 'filter',
    'tools/call': 'govern',
    // Not offered yet. Clients ask for the lists all the same, and an empty list is the truth.
    'prompts/list': 'filter',
    'resources/list': 'filter',
    'resources/templates/list': 'filter',
    'logging/setLevel': 'local',
    'prompts/get': 'deny',
    'resources/read': 'deny',
    'resources/subscribe': 'deny',
    'resources/unsubscribe': 'deny',
    'completion/complete': 'deny',
    'tasks/get': 'deny',
    'tasks/list': 'deny',
    'tasks/result': 'deny',
    'tasks/cancel': 'deny',
    // Of 2026-07-28, which is not served yet. Clients that probe for it fall back to initialize.
    'server/discover': 'deny',
    'subscriptions/listen': 'deny',
  }),
  ...rows('client', 'notification', {
    'notifications/initialized': 'local',
    'notifications/cancelled': 'local',
    'notifications/roots/list_changed': 'local',
    // We send no requests to clients, so there is nothing that a client could report progress on.
    'notifications/progress': 'deny',
    'notifications/tasks/status': 'deny',
  }),
  ...rows('server', 'request', {
    ping: 'local',
    'sampling/createMessage': 'deny',
    'elicitation/create': 'deny',
    'roots/list': 'deny',
    'tasks/get': 'deny',
    'tasks/list': 'deny',
    'tasks/result': 'deny',
    'tasks/cancel': 'deny',
  }),
  ...rows('server', 'notification', {
    'notifications/progress': 'filter',
    'notifications/tools/list_changed': 'filter',
    'notifications/cancelled': 'local',
    // Data paths to the model that are not carried yet: absorbed.
    'notifications/message': 'local',
    'notifications/prompts/list_changed': 'local',
    'notifications/resources/list_changed': 'local',
    'notifications/resources/updated': 'local',
    'notifications/elicitation/complete': 'local',
    'notifications/tasks/status': 'local',
    'notifications/subscriptions/acknowledged': 'deny',
  }),
];

const TABLE: ReadonlyMap<string, MethodRow> = new Map(
  METHOD_ROWS.map((row) => [`${row.sender} ${row.kind} ${row.method}`, row]),
);

/** Exact match only: no case folding, no trimming. Undefined means refused and recorded. */
export function lookupMethod(sender: Sender, kind: MessageKind, method: string): MethodRow | undefined {
  return TABLE.get(`${sender} ${kind} ${method}`);
}

/** Whether the other side may send this method: then the message only travels in the wrong direction. */
export function isOfOtherSide(sender: Sender, method: string): boolean {
  const other: Sender = sender === 'client' ? 'server' : 'client';
  return METHOD_ROWS.some((row) => row.sender === other && row.method === method);
}
