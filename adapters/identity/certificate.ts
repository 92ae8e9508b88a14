// A client's certificate: its key is proved by the handshake of TLS, and known by its pin. Nobody has to have signed for it, and it may have
// expired: the configuration says that this key is the agent's, and goes on saying so until it is taken out.

import { type Denial, deny } from '../../domain/denial.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Principal } from '../../domain/principal.ts';
import { type Agent, connectionDigest, principalOf } from './agent.ts';

/** An agent and the pins of its keys: one, or while it is exchanged two. */
export interface PinnedAgent extends Agent {
  readonly pins: readonly Digest[];
}

/** Named by all of its pins, so that what it was given before an exchange of keys is good behind it. */
export function pinnedConnection(pins: readonly Digest[]): Digest {
  return connectionDigest('mtls', [...pins].sort().join('\n'));
}

/** The agent whose key this is. */
export function authenticatePin(agents: readonly PinnedAgent[], pin: Digest): Principal | Denial {
  const [agent, ...others] = agents.filter(({ pins }) => pins.includes(pin));
  if (agent === undefined) return deny('ID_UNAUTHENTICATED', 'the key of the certificate is not known');
  if (others.length > 0) return deny('ID_UNAUTHENTICATED', 'the key of the certificate belongs to several agents');
  return principalOf(agent, 'mtls', pinnedConnection(agent.pins));
}
