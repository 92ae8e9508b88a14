// A process that the gate started, over a connection that was given to it and to nobody else: that it is at the other end is all the proof there
// is, and nothing that could be stolen. What it hands the connection on to is, for us, the process.

import type { Principal } from '../../domain/principal.ts';
import { randomBytes } from '../crypto/node-crypto.ts';
import { type Agent, connectionDigest, principalOf } from './agent.ts';

/** One principal for the life of that process; another process of the same agent is another one. `key` tells the process from every other. */
export function processPrincipal(agent: Agent, key: string): Principal {
  return { ...principalOf(agent, 'process', connectionDigest('process', randomBytes(32))), process: key };
}
