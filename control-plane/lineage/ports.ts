// What the registry asks of others. Answers come at once and change nothing.

import type { CallId } from '../../domain/ids.ts';
import type { LineageLimits } from './limits.ts';

/** What peers say about their executions. */
export interface PeerLiveness {
  state(issuer: string, node: CallId): 'running' | 'ended' | 'revoked' | 'unknown' | 'stale';
}

/** What can be revoked that executions in a tree have. */
export type RevokedThing = 'root' | 'node' | 'agent' | 'server' | 'tool';

export interface RevocationLookup {
  has(kind: RevokedThing, id: string): boolean;
}

export interface LineagePorts {
  readonly revocations: RevocationLookup;
  readonly peers: PeerLiveness;
  readonly limits?: LineageLimits;
}
