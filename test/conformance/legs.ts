// The legs of a conformance run: which side is measured, at which revision, and what lies between the suite and that side.

import { ERAS, type Eras } from './fixture/eras.ts';

export const REVISIONS = ['2025-11-25', '2026-07-28'] as const;
export type Revision = (typeof REVISIONS)[number];

export interface ServerLeg {
  readonly side: 'server';
  readonly revision: Revision;
  readonly via: 'direct' | 'portcullis';
  /** What the fixture speaks. */
  readonly eras: Eras;
}

export interface ClientLeg {
  readonly side: 'client';
  readonly revision: Revision;
  readonly via: 'direct' | 'portcullis';
}

export type Leg = ServerLeg | ClientLeg;

export function nameOf(leg: Leg): string {
  return [leg.side, leg.revision, leg.via, ...(leg.side === 'server' ? [leg.eras] : [])].join('/');
}

/** All legs. Directly only the eras that have the revision are measured; between them there is nothing that translates. */
export const LEGS: readonly Leg[] = [
  ...(['direct', 'portcullis'] as const).flatMap((via) =>
    REVISIONS.flatMap((revision) =>
      ERAS.filter((eras) => via === 'portcullis' || eras === 'both' || revision.startsWith(eras)).map(
        (eras): ServerLeg => ({ side: 'server', revision, via, eras }),
      ),
    ),
  ),
  ...(['direct', 'portcullis'] as const).flatMap((via) =>
    REVISIONS.map((revision): ClientLeg => ({ side: 'client', revision, via })),
  ),
];
