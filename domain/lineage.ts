// The place of an execution in its chain. A root has nothing above it; whatever joins below carries what everything above it hands down.

import { encodeBase64url } from './base64url.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Digest, Sha256 } from './digest.ts';
import type { LedgerPosition } from './feed-message.ts';
import type { CallId } from './ids.ts';
import type { Scope } from './scope.ts';

export interface Lineage {
  readonly root: CallId;
  readonly node: CallId;
  readonly parent: CallId | null;
  readonly depth: number;
  /** How the parent was found; absent at a root. */
  readonly origin?: 'token' | 'inferred' | 'peer';
  /** Other executions that the calling process works on: their limits hold too. */
  readonly joined?: readonly CallId[];
  /** The gate that the parent runs at, where that is not this one. */
  readonly issuer?: string;
  /** The intent of the parent there, as that gate told it. */
  readonly entry?: LedgerPosition;
  /** The parent's link in the hash chain. */
  readonly above?: Digest;
  /** The agents from the root's to the parent's. */
  readonly agents?: readonly string[];
  /** Each of them must permit the call. Absent where only the policy limits it. */
  readonly scopes?: readonly Scope[];
  /** What it hands on at most, besides, where its caller narrows that. */
  readonly narrowed?: Scope;
  /** The call whose token was shown, and was good, by one that was then let in nowhere. */
  readonly shown?: ShownCall;
}

export interface ShownCall {
  readonly root: CallId;
  readonly node: CallId;
  /** Where it runs at another gate: which, and its intent there, as far as that gate told it. */
  readonly issuer?: string;
  readonly entry?: LedgerPosition;
}

export function rootLineage(call: CallId): Lineage {
  return { root: call, node: call, parent: null, depth: 0 };
}

/** What is asked within a call stands where that call stands. It hands nothing on, and rules alone say whether it may be asked. */
export function lineageBeside(
  { root, parent, depth, origin, issuer, entry, above, agents }: Lineage,
  node: CallId,
): Lineage {
  return {
    root,
    node,
    parent,
    depth,
    ...(origin === undefined ? {} : { origin }),
    ...(issuer === undefined ? {} : { issuer }),
    ...(entry === undefined ? {} : { entry }),
    ...(above === undefined ? {} : { above }),
    ...(agents === undefined ? {} : { agents }),
  };
}

const encoder = new TextEncoder();

/** A link of the hash chain: what was called by whom, on top of what the link above says. `args` is the commitment to the arguments. */
export function chainLink(
  sha256: Sha256,
  above: Digest | undefined,
  call: { readonly agent: string; readonly server: string; readonly tool: string; readonly args: Digest },
): Digest {
  const { agent, server, tool, args } = call;
  const link = above === undefined ? [agent, server, tool, args] : [above, agent, server, tool, args];
  return `sha256:${encodeBase64url(sha256(encoder.encode(canonicalJson(link))))}`;
}
