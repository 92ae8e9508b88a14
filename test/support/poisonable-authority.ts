// The real deciding thread, which fails on demand: asks about these tools make it fail in ways that the real one could.

import { parentPort } from 'node:worker_threads';
import cedar from '@cedar-policy/cedar-wasm/nodejs';
import type { Ask } from '../../adapters/policy-engine/messages.ts';

export const POISON = 'poison-the-engine';
export const HANG = 'never-return';
export const EXIT = 'end-the-process';
export const THROW = 'throw-an-error';

parentPort?.on('message', (asks: readonly Ask[]) => {
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
        throw new Error('thrown on demand');
    }
  }
});

await import('../../adapters/policy-engine/authority-worker.ts');
