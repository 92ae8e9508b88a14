import type { Disk } from '../../adapters/clients/safe-file.ts';

export declare function faultyDisk(
  at: number,
  act: (name: string, really: () => unknown) => unknown,
): { readonly disk: Disk; readonly count: () => number };
