// What can be revoked: what people call it, and what it is in permits and entries.

import type { RevocationKind } from '../control-plane/permits/revocations.ts';

export type Revocable = 'permit' | 'execution' | 'root' | 'agent' | 'server' | 'tool' | 'policy' | 'key';

export const REVOCABLE: Readonly<Record<Revocable, RevocationKind>> = {
  permit: 'jti',
  execution: 'node',
  root: 'root',
  agent: 'agent',
  server: 'server',
  tool: 'tool',
  policy: 'policy',
  key: 'key',
};

export function isRevocable(what: unknown): what is Revocable {
  return typeof what === 'string' && Object.hasOwn(REVOCABLE, what);
}
