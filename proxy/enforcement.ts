// Everything a conversation needs of the gate's live side, in one value. Wired by the composition root; it holds no logic but the two
// questions that every session asks.

import type { CallLimits } from '../control-plane/authorization.ts';
import type { Principal } from '../domain/principal.ts';
import type { Catalogue } from './catalogue.ts';
import type { Clock, GateCrypto } from './ports.ts';
import type { RunnerPorts } from './runner.ts';

export interface Enforcement {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly crypto: GateCrypto;
  readonly runner: RunnerPorts;
  readonly limits: (server: string) => CallLimits;
  /** Tools, as `server/tool`, that this principal may know of. */
  visible(principal: Principal): Promise<ReadonlySet<string>>;
  /** Resolves when the servers have been described, or will not be in time. */
  described(): Promise<void>;
  /** Whether the gate as a whole takes one more call. */
  hasRoom(): boolean;
}
