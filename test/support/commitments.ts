import { createHash } from 'node:crypto';
import type { Digest } from '../../domain/digest.ts';

/** A digest of a label: tests that only need some digest need a stable one. */
export function commitmentOf(label: string): Digest {
  return `sha256:${createHash('sha256').update(label).digest('base64url')}`;
}
