// A call, captured once. What the policy decides on, the permit binds, the ledger commits to and the tool receives is this one value: nobody
// reads the client's message again.

import { canonicalJson } from '../domain/canonical-json.ts';
import type { Digest } from '../domain/digest.ts';
import type { CallId } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import { type Lineage, rootLineage } from '../domain/lineage.ts';
import type { Principal } from '../domain/principal.ts';
import { commit } from '../ledger/vault.ts';
import type { GateCrypto, Payload } from './ports.ts';

const UTF8 = new TextEncoder();

export interface CapturedCall {
  readonly call: CallId;
  /** Milliseconds since 1970 when the call was captured, and the monotonic clock at the same moment. */
  readonly at: number;
  readonly atMonotonic: number;
  readonly principal: Principal;
  readonly server: string;
  readonly tool: string;
  readonly lineage: Lineage;
  readonly argumentsJson: string;
  /** Canonical JSON of the forwarded `_meta`. */
  readonly metaJson: string;
  /** Canonical JSON of the params without `_meta`: the bytes that go to the tool. */
  readonly body: string;
  readonly salt: Uint8Array;
  readonly args: Digest;
  readonly req: Digest;
  readonly argumentsBytes: number;
}

export interface CallParts {
  readonly call: CallId;
  readonly at: number;
  readonly atMonotonic: number;
  readonly principal: Principal;
  readonly server: string;
  readonly tool: string;
  readonly arguments: JsonObject;
  readonly meta: JsonObject;
}

/** Commitment to the request as a whole: method, tool, arguments and forwarded `_meta`. */
export function requestCommitment(crypto: GateCrypto, salt: Uint8Array, body: string, metaJson: string): Digest {
  return commit(crypto.sha256, salt, UTF8.encode(`{"method":"tools/call","params":${body},"with":${metaJson}}`));
}

export function captureCall(crypto: GateCrypto, parts: CallParts): CapturedCall {
  const argumentsJson = canonicalJson(parts.arguments);
  const metaJson = canonicalJson(parts.meta);
  // Canonical order: "arguments" sorts before "name".
  const body = `{"arguments":${argumentsJson},"name":${canonicalJson(parts.tool)}}`;
  const salt = crypto.randomBytes(32);
  const bytes = UTF8.encode(argumentsJson);
  return Object.freeze({
    call: parts.call,
    at: parts.at,
    atMonotonic: parts.atMonotonic,
    principal: parts.principal,
    server: parts.server,
    tool: parts.tool,
    lineage: rootLineage(parts.call),
    argumentsJson,
    metaJson,
    body,
    salt,
    args: commit(crypto.sha256, salt, bytes),
    req: requestCommitment(crypto, salt, body, metaJson),
    argumentsBytes: bytes.byteLength,
  });
}

/** The same call at a later moment: its permit is asked for then, and what the call is does not change by waiting. */
export function capturedAt(call: CapturedCall, at: number, atMonotonic: number): CapturedCall {
  return Object.freeze({ ...call, at, atMonotonic });
}

/** What the vault keeps of the arguments. */
export function argumentsPayload(call: CapturedCall): Payload {
  return { commitment: call.args, salt: call.salt, bytes: UTF8.encode(call.argumentsJson) };
}
