// The sandbox of a server that is only asked what it is: the same that it has behind a gate. There is no ledger here, so the operator is told of what it
// reaches.

import type { SandboxMaker } from '../adapters/upstream/stdio/ports.ts';
import { visibleText } from '../domain/visible-text.ts';
import type { Configuration } from './configuration.ts';
import { gateFolder, type Home } from './home.ts';
import { openSandboxing, type SandboxedLaunch } from './sandboxing.ts';
import { systemClock } from './system-clock.ts';

export interface ReviewSandbox {
  readonly maker: SandboxMaker | undefined;
  close(): Promise<void>;
}

/** Rejects with what this machine lacks. */
export async function reviewSandbox(
  launch: SandboxedLaunch,
  home: Home,
  configuration: Configuration | undefined,
  note: (text: string) => void,
): Promise<ReviewSandbox> {
  const sandboxing = await openSandboxing([launch], {
    folder: gateFolder(home, 'review'),
    configuration,
    recorder: {
      append: async ({ type, ...fact }) => {
        note(`server ${launch.name}: ${type} ${visibleText(JSON.stringify(fact), 300)}`);
        return { seq: 0, ts: '', leafHash: `sha256:${'A'.repeat(43)}` };
      },
    },
    clock: systemClock,
    mayGoOut: () => true,
  });
  const lacking = sandboxing.lacks(launch.name);
  if (lacking !== undefined) throw new Error(`it stays shut: ${lacking}`);
  return { maker: sandboxing.maker(launch.name), close: () => sandboxing.close() };
}
