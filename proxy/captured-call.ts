// A call, captured once. What the policy decides on, the permit binds, the ledger commits to and the peer receives is this one value: nobody
// reads the sender's message again.

import { TOOL_METHOD } from '../domain/action.ts';
import { canonicalJson } from '../domain/canonical-json.ts';
import type { Denial } from '../domain/denial.ts';
import type { Digest } from '../domain/digest.ts';
import type { CallId } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import { type Lineage, rootLineage } from '../domain/lineage.ts';
import type { Principal } from '../domain/principal.ts';
import type { Scope } from '../domain/scope.ts';
import { commit } from '../ledger/vault.ts';
import type { CallRelation } from '../state-machines/execution-events.ts';
import type { Placed } from './call-tree.ts';
import type { GateCrypto, Payload } from './ports.ts';
import type { Manner } from './tool-server.ts';

const UTF8 = new TextEncoder();

export interface CapturedCall {
  readonly call: CallId;
  /** Milliseconds since 1970 when the call was captured, and the monotonic clock at the same moment. */
  readonly at: number;
  readonly atMonotonic: number;
  readonly principal: Principal;
  readonly method: string;
  readonly server: string;
  /** The tool of a tools/call; of every other method, the method. */
  readonly tool: string;
  readonly lineage: Lineage;
  /** Why it has no place in a chain; it is denied. */
  readonly unplaced: Denial | undefined;
  /** The most that it may take because of its place; undefined where nothing but its own limits says so. */
  readonly timeoutMsMax: number | undefined;
  /** What it hands on at most, where its sender narrows that. */
  readonly narrowing: Scope | undefined;
  /** The execution that this one belongs to, if it does. */
  readonly relation: CallRelation | undefined;
  /** Undefined when the server executes; else the call whose client does. */
  readonly askedThrough: CallId | undefined;
  /** The tool whose result the answer may hold, where a message asks for that later. */
  readonly resultOf: string | undefined;
  /** What rules decide about: the arguments of a tool, the params of everything else. Canonical JSON. */
  readonly argumentsJson: string;
  /** Canonical JSON of the forwarded `_meta`. */
  readonly metaJson: string;
  /** Canonical JSON of the params without `_meta`: the bytes that go to the peer. */
  readonly body: string;
  readonly salt: Uint8Array;
  readonly args: Digest;
  readonly req: Digest;
  readonly argumentsBytes: number;
  readonly manner: Manner;
}

export interface CallParts {
  readonly call: CallId;
  readonly at: number;
  readonly atMonotonic: number;
  readonly principal: Principal;
  readonly method: string;
  readonly server: string;
  /** The tool of a tools/call, as the server spells it; ignored for every other method. */
  readonly tool: string;
  readonly arguments: JsonObject;
  /** Params beside what rules decide about: answers and state of an earlier round, a task, whatever a later revision adds. */
  readonly rest: JsonObject;
  readonly meta: JsonObject;
  readonly manner: Manner;
  readonly relation?: CallRelation | undefined;
  readonly askedThrough?: CallId | undefined;
  readonly resultOf?: string | undefined;
  /** Finds its place in a chain; without it, it is the start of one. */
  readonly place?: ((captured: Placing) => Placed) | undefined;
  readonly narrowing?: Scope | undefined;
}

/** What a place is found for. */
export type Placing = Pick<
  CapturedCall,
  'call' | 'atMonotonic' | 'principal' | 'method' | 'server' | 'tool' | 'argumentsJson' | 'args' | 'narrowing'
>;

/** Commitment to the request as a whole: method, params and forwarded `_meta`. */
export function requestCommitment(
  crypto: GateCrypto,
  salt: Uint8Array,
  request: { readonly method: string; readonly body: string; readonly metaJson: string },
): Digest {
  const { method, body, metaJson } = request;
  const text = `{"method":${JSON.stringify(method)},"params":${body},"with":${metaJson}}`;
  return commit(crypto.sha256, salt, UTF8.encode(text));
}

export function captureCall(crypto: GateCrypto, parts: CallParts): CapturedCall {
  const { method } = parts;
  const argumentsJson = canonicalJson(parts.arguments);
  const metaJson = canonicalJson(parts.meta);
  const body = bodyOf(parts, argumentsJson);
  const salt = crypto.randomBytes(32);
  const bytes = UTF8.encode(argumentsJson);
  const { call, atMonotonic, principal, server, narrowing } = parts;
  const tool = method === TOOL_METHOD ? parts.tool : method;
  const args = commit(crypto.sha256, salt, bytes);
  const placed = parts.place?.({ call, atMonotonic, principal, method, server, tool, argumentsJson, args, narrowing });
  return Object.freeze({
    call,
    at: parts.at,
    atMonotonic,
    principal,
    method,
    server,
    tool,
    lineage: placed?.lineage ?? rootLineage(call),
    unplaced: placed?.refused,
    timeoutMsMax: placed?.timeoutMs,
    narrowing: placed === undefined ? narrowing : placed.narrowing,
    relation: parts.relation,
    askedThrough: parts.askedThrough,
    resultOf: parts.resultOf,
    argumentsJson,
    metaJson,
    body,
    salt,
    args,
    req: requestCommitment(crypto, salt, { method, body, metaJson }),
    argumentsBytes: bytes.byteLength,
    manner: parts.manner,
  });
}

function bodyOf({ method, tool, arguments: args, rest }: CallParts, argumentsJson: string): string {
  const plain = Object.keys(rest).length === 0;
  if (method !== TOOL_METHOD) return plain ? argumentsJson : canonicalJson({ ...rest, ...args });
  // Canonical order: "arguments" sorts before "name". Large arguments are not written twice.
  if (plain) return `{"arguments":${argumentsJson},"name":${canonicalJson(tool)}}`;
  return canonicalJson({ ...rest, arguments: args, name: tool });
}

/** The same call at a later moment: it asks for nothing else, and its permit is as young as that. */
export function capturedAt(call: CapturedCall, at: number, atMonotonic: number): CapturedCall {
  return Object.freeze({ ...call, at, atMonotonic });
}

/** What the vault keeps of the arguments. */
export function argumentsPayload(call: CapturedCall): Payload {
  return { commitment: call.args, salt: call.salt, bytes: UTF8.encode(call.argumentsJson) };
}
