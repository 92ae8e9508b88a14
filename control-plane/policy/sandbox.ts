// What a manifest may say about the sandbox of a server that is a process: what it sees, what it may write, whom it may reach.
// How that is held is adapters/sandbox; docs/sandbox.md says what it holds and what not.

import { z } from 'zod';
import { parseEgressEntry } from './egress.ts';

const PLACES_MAX = 64;
const ALLOWED_HOSTS_MAX = 256;

/** A file or folder. `..` only at the beginning of a relative one, so that no link on the way can give it another meaning. */
const place = z
  .string()
  .min(1)
  .max(4096)
  .refine((text) => !text.includes('\0') && !text.includes('*'), 'a path names one file or folder: no "*"')
  .refine((text) => !text.startsWith('~') || /^~(?:\/|$)/.test(text), 'write "~/folder" for a folder of your own')
  .refine(
    (text) =>
      !text
        .replace(/^(?:\.\.\/)+/, '')
        .split('/')
        .includes('..') || /^\.\.(?:\/\.\.)*$/.test(text),
    'a path has ".." at most at its beginning',
  )
  .refine((text) => !/^[\\/]*[A-Za-z]:[\\/]/.test(text) && !text.includes('\\'), 'a path is written with "/"');

const egressEntry = z
  .string()
  .max(300)
  .refine(
    (text) => parseEgressEntry(text) !== undefined,
    'not a host: write "api.example.com", "*.example.com", "192.0.2.7:8443" or "[2001:db8::7]:443", without a scheme and a path',
  );

export const SANDBOX_SCHEMA = z.strictObject({
  /** Beside its own program and its runtime. */
  read: z.array(place).max(PLACES_MAX).default([]),
  write: z.array(place).max(PLACES_MAX).default([]),
  net: z
    .union([z.literal('none'), z.strictObject({ allow: z.array(egressEntry).min(1).max(ALLOWED_HOSTS_MAX) })], {
      error: 'net is none, or { allow: [HOST, HOST:PORT, ...] }',
    })
    .default('none'),
});

export type SandboxSpec = z.output<typeof SANDBOX_SCHEMA>;
