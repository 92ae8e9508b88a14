// A key by itself: whoever proves with every request that he has it is its agent, without any token that could be lost. The proof is that of
// RFC 9449; what it has to be about is dpop.ts.

import { type Denial, deny } from '../../domain/denial.ts';
import type { Principal } from '../../domain/principal.ts';
import { type Agent, connectionDigest, principalOf } from './agent.ts';

/** An agent and the thumbprint (RFC 7638) of its key, as the configuration holds it. */
export interface ProofKeyAgent extends Agent {
  readonly proofKey: string;
}

/** The agent with this key, which was not proved yet. */
export function agentOfKey(agents: readonly ProofKeyAgent[], key: string | undefined): ProofKeyAgent | Denial {
  const [agent, ...others] = agents.filter(({ proofKey }) => proofKey === key);
  if (agent === undefined) return deny('ID_UNAUTHENTICATED', 'the key of the proof is not known');
  return others.length > 0 ? deny('ID_UNAUTHENTICATED', 'the key of the proof belongs to several agents') : agent;
}

/** Once it was proved. */
export function proofKeyPrincipal(agent: ProofKeyAgent): Principal {
  const { proofKey } = agent;
  return { ...principalOf(agent, 'proof_key', connectionDigest('proof_key', proofKey)), proofKey };
}
