// Every bound of the proxy, each with how it was chosen. What can grow without one of these bounds is a defect.
// Time and bytes of a single tool call come with its permit; where a manifest names none, they are in control-plane/policy/limits.ts. What a
// tool server may make us keep or wait for, its list of tools above all, is in adapters/upstream/limits.ts.

import type { JsonLimits } from '../domain/strict-json.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** One JSON-RPC message from either side. A file of a few megabytes in base64 passes; a message of this size is parsed in about 20 ms. */
export const MESSAGE_BYTES_MAX = 4 * MiB;

/** Nesting of one message. Real arguments stay under 10 and published schemas under 30; twice that is room enough. */
export const JSON_DEPTH_MAX = 64;

/** Values in one message. A listing of 20,000 rows with ten members fits; building that many takes tens of milliseconds, not seconds. */
export const JSON_NODES_MAX = 200_000;

/** What the strict parser accepts from a client or a server unless told otherwise. */
export const DEFAULT_JSON_LIMITS: JsonLimits = {
  bytesMax: MESSAGE_BYTES_MAX,
  depthMax: JSON_DEPTH_MAX,
  nodesMax: JSON_NODES_MAX,
};

/** Calls of one client session in progress at once. The busiest client measured keeps 64; four times that is a runaway loop. */
export const CALLS_IN_FLIGHT_PER_SESSION_MAX = 256;

/** Calls in progress over all sessions. Each holds one message and one answer; at 1 MiB a pair this stays under a usual memory limit. */
export const CALLS_IN_FLIGHT_MAX = 1024;

/**
 * Calls that wait for their turn at one server, each also counted as in progress. Half of what the gate holds, so that one slow server leaves
 * room for the others; twice what one session can have in progress, so that one session alone cannot fill it.
 */
export const CALLS_WAITING_PER_SERVER_MAX = 512;

/** Refused messages being recorded at once. Two batches of the ledger; with the calls in flight this stays below half of its queue. */
export const REFUSALS_AT_ONCE_MAX = 1024;

/** Client sessions open at once. Ten times a large team with several clients each; at 50 KB a session about 100 MB. */
export const SESSIONS_MAX = 2048;

/** Sessions of one principal, so that one credential cannot use up all of them. Half: without credentials a machine's clients are one principal. */
export const SESSIONS_PER_PRINCIPAL_MAX = 1024;

/** Principals for whom the gate keeps which tools they may know of. As many as there can be sessions. */
export const PRINCIPALS_REMEMBERED_MAX = 2048;

/**
 * Servers that conversations have to themselves, over all agents and of one. Each is a process of 50 to 100 MB or a connection: all of them
 * fill a large machine, and one agent alone can neither do that nor keep the others from having any.
 */
export const OWN_SERVERS_MAX = 256;
export const OWN_SERVERS_PER_AGENT_MAX = 64;

/** A session without a request for this long is closed; a client then starts a new one, as the specification asks (404). */
export const SESSION_IDLE_MS = 30 * MINUTE;

/** The request line and headers of one HTTP request. Node's default; a bearer token with many claims takes about 4 KiB. */
export const HTTP_HEADER_BYTES_MAX = 16 * KiB;

/** From the first byte of a request to the end of its headers. A client on the same host or network needs milliseconds. */
export const HTTP_HEADERS_TIMEOUT_MS = 10 * SECOND;

/** From the end of the headers to the end of the body. 4 MiB at 140 KiB/s. */
export const HTTP_BODY_TIMEOUT_MS = 30 * SECOND;

/** Bodies that are coming in, together. Sixty-four messages of the largest size; ordinary ones arrive in a packet or two and wait for nothing. */
export const HTTP_BODIES_BYTES_MAX = 64 * MESSAGE_BYTES_MAX;

/** An idle kept-alive connection is closed after this. Above the 60 s for which common reverse proxies keep theirs, so they close first. */
export const HTTP_KEEP_ALIVE_MS = 65 * SECOND;

/** Connections at once: one event stream and a few requests for each session. */
export const HTTP_CONNECTIONS_MAX = 8192;

/** Requests on one connection that wait for their answers. Clients that send ahead at all send fewer; with all connections this stays bounded. */
export const HTTP_REQUESTS_PER_CONNECTION_MAX = 16;

/** How much one event stream may lag behind before it is closed. One message of the largest size and its framing. */
export const HTTP_STREAM_BUFFER_BYTES_MAX = 2 * MESSAGE_BYTES_MAX;

/** A silent event stream says this often that it lives. Below the 30 s after which the strictest common reverse proxies cut it. */
export const HTTP_HEARTBEAT_MS = 20 * SECOND;

/** How long a shutdown waits for calls in progress before it cuts them off. */
export const DRAIN_MS = 10 * SECOND;

/** The name of a tool or a server. The specification suggests 128 characters at most; a longer one names nothing here. */
export const NAME_CHARACTERS_MAX = 256;

/** What is kept of the name and of the version that a client gives itself. */
export const CLAIMED_CHARACTERS_MAX = 64;

/** A method as it is recorded. The longest that exists has 40 characters. */
export const RECORDED_METHOD_CHARACTERS_MAX = 200;

/** A reason as it is recorded, whoever wrote it. An entry carries several and has 32 KiB. */
export const RECORDED_DETAIL_CHARACTERS_MAX = 500;

/** Permit and deciding rules of one decision as they are recorded. A permit takes about 2 KiB; the rest of an entry needs less than 8. */
export const RECORDED_DECISION_BYTES_MAX = 24 * KiB;

/** What a call hands on at most, as its sender says: it is recorded with the call. A dozen folders with their tools take a tenth. */
export const NARROWING_BYTES_MAX = 4 * KiB;

/** Questions that a server may put to the client within one call. A dialogue of a few steps; more is a server that asks in a loop. */
export const QUESTIONS_PER_CALL_MAX = 64;

/** Questions open at once: to one client, of which a person answers each; and to all, as many as there can be calls that ask one. */
export const QUESTIONS_AT_ONCE_PER_SESSION_MAX = 64;
export const QUESTIONS_AT_ONCE_MAX = 1024;

/** Questions that one answer may hold, and the characters of the state that comes with them. */
export const QUESTIONS_PER_ANSWER_MAX = 16;
export const REQUEST_STATE_CHARACTERS_MAX = 64 * KiB;

/** The forms of one answer. They are flat and a person fills them in; they are kept until that is done, so they are not large. */
export const QUESTION_SCHEMAS_CHARACTERS_MAX = 32 * KiB;

/** How often a call is continued with the client's answers before it counts as going round in circles: as often as common client libraries do. */
export const ROUNDS_MAX = 8;

/** The client's time to answer a question: a person may have to be found first. */
export const QUESTION_TIMEOUT_MS = 10 * MINUTE;

/** What one call may wait for its client's answers altogether: several questions, each with a person who was away for a while. */
export const CALL_WAITS_FOR_CLIENT_MS = 60 * MINUTE;

/** How old a list of prompts or resources may be before it is read again, and how long a client waits for that. */
export const LIST_FRESH_MS = 5 * SECOND;
export const LIST_WAIT_MS = 5 * SECOND;

/** Items on one page of a list. */
export const PAGE_ITEMS_MAX = 1_000;

/** Resources that one conversation is subscribed to at once. */
export const SUBSCRIPTIONS_PER_SESSION_MAX = 1_000;

/** Tasks whose owner is remembered: of all agents, and of one, so that one alone cannot make the others' be forgotten. */
export const TASKS_REMEMBERED_MAX = 10_000;
export const TASKS_PER_AGENT_MAX = 1_000;

/** How long the state of a round is good: the client's time to answer and some to send it. */
export const REQUEST_STATE_MS = 15 * MINUTE;

/** States that were used and are remembered until they would have expired. At 256 bytes each 16 MiB; more rounds at once are refused. */
export const REQUEST_STATES_USED_MAX = 65_536;
/** Of those, one agent's: nine rounds a second without a pause. Alone it cannot use up the others' room. */
export const REQUEST_STATES_USED_PER_AGENT_MAX = 8_192;

/** How long a call is held for the client's answers, and how many are: each is a call in flight that does nothing. */
export const HELD_CALL_MS = 10 * MINUTE;
export const HELD_CALLS_MAX = 256;
export const HELD_CALLS_PER_PRINCIPAL_MAX = 32;

/** How often the client of a held call may come back, with an answer or without: as often as its server may ask. */
export const HELD_ROUNDS_MAX = QUESTIONS_PER_CALL_MAX;

/** Listening streams of one conversation, which on HTTP is all that one principal says: as many as it may have sessions. And of how long each may be: a client then listens anew, and is authenticated anew. */
export const LISTENS_PER_CONVERSATION_MAX = 1024;
export const LISTEN_MS = 60 * MINUTE;

/** How long the end of a conversation waits for servers to let go of what it was subscribed to. They answer that at once or not at all. */
export const LEAVE_MS = 2 * SECOND;

/** Resources and tasks that one listening stream may name. */
export const LISTEN_TARGETS_MAX = 100;

/** Calls that nobody knows the end of and that wait for a person: each is 300 bytes of one document that is written whole. */
export const UNKNOWN_CALLS_MAX = 8_192;
/** As many as a gate can have in flight. An agent that has more of them does nothing more that cannot be repeated. */
export const UNKNOWN_CALLS_PER_AGENT_MAX = 1_024;
