// The real deciding thread, which fails on demand: asks about these tools make it fail in ways that the real one could.

import { parentPort } from 'node:worker_threads';
import cedar from '@cedar-policy/cedar-wasm/nodejs';
import type { Ask, AuthoritySetup } from '../../adapters/policy-engine/messages.ts';

export const POISON = 'poison-the-engine';
export const HANG = 'never-return';
export const EXIT = 'end-the-process';
export const THROW = 'throw-an-error';

/** An installation of this name gets an engine that skips no forbid, because it knows none. */
export const LIAR = 'lying-engine';

function lie(): void {
  const honest = cedar.statefulIsAuthorized;
  cedar.statefulIsAuthorized = (call) => {
    const answer = honest(call);
    if (answer.type === 'success')
      answer.response = { decision: 'allow', diagnostics: { reason: ['sings'], errors: [] } };
    return answer;
  };
}

parentPort?.on('message', (asks: readonly Ask[] | AuthoritySetup) => {
  if ('instance' in asks) {
    if (asks.instance === LIAR) lie();
    return;
  }
  for (const ask of asks) {
    if (ask.kind !== 'authorize') continue;
    switch (ask.request.tool) {
      case POISON:
        try {
          // Overflows the parser's stack. From here on every call into the engine throws.
          cedar.policyToJson(`permit (principal, action, resource) when { ${'('.repeat(300)}true${')'.repeat(300)} };`);
        } catch {}
        break;
      case HANG:
        for (;;);
      case EXIT:
        process.exit(3);
        break;
      case THROW:
        cedar.statefulIsAuthorized = () => {
          throw new Error('thrown on demand');
        };
        break;
    }
  }
});

await import('../../adapters/policy-engine/authority-worker.ts');
