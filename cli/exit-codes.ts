// What a shell learns from us. Pinned: docs/cli.md and test/pins.

export const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  denied: 3,
  verificationFailed: 5,
  gaps: 6,
  gateShut: 7,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
