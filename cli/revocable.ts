// What can be revoked: what people call it, and what it is in permits and entries.

import type { RevocationKind } from '../control-plane/permits/revocations.ts';

export const REVOCABLE: Readonly<Record<string, RevocationKind>> = {
  permit: 'jti',
  execution: 'node',
  root: 'root',
  agent: 'agent',
  server: 'server',
  tool: 'tool',
  policy: 'policy',
  key: 'key',
};
