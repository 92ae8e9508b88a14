// The process that started us, over our own standard input and output: nobody else can write there, so configuration says who it is.
// It proves nothing about what that process says it is.

import type { Principal } from '../../domain/principal.ts';
import { randomBytes } from '../crypto/node-crypto.ts';
import { type Agent, connectionDigest, principalOf } from './agent.ts';

/** One principal for the life of this process; its connection is that of no other process. */
export function localPrincipal(agent: Agent): Principal {
  return principalOf(agent, 'local', connectionDigest('local', randomBytes(32)));
}
