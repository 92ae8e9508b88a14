// Who a credential stands for: the part of an agent's configuration that becomes its principal, and the digest that names a credential
// without showing it.

import { encodeBase64url } from '../../domain/base64url.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Authentication, Principal } from '../../domain/principal.ts';
import { sha256 } from '../crypto/node-crypto.ts';

export interface Agent {
  readonly agent: string;
  readonly roles: readonly string[];
  readonly root: boolean;
}

export function principalOf(agent: Agent, authentication: Authentication, connection: Digest): Principal {
  return { agent: agent.agent, roles: agent.roles, root: agent.root, authentication, connection };
}

/** Separated by domain and kind: what names a credential here names it nowhere else. */
export function connectionDigest(kind: Authentication, credential: string | Uint8Array): Digest {
  const text = Buffer.from(`portcullis/connection/v1\n${kind}\n`);
  return `sha256:${encodeBase64url(sha256(Buffer.concat([text, Buffer.from(credential)])))}`;
}
