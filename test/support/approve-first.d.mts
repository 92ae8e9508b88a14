import type { ServerLaunch } from '../../cli/servers.ts';

export function approveLaunches(
  state: string,
  secret: Uint8Array,
  launches: readonly ServerLaunch[],
  options?: { readonly mode?: 'kept' | 'fresh' | 'no' },
): Promise<void>;

/** The folder of what was read and measured for the tests that run now. */
export const KEPT: string;
