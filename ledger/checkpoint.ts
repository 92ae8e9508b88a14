// Checkpoints (C2SP tlog-checkpoint): origin, size and root of a log as three lines of text, inside a signed note.
// Ours have no extension lines. A text is accepted only if writing it again gives the same text.

import { fromBase64, toBase64 } from './base64.ts';
import { HASH_BYTES } from './leaf.ts';
import { type NoteSigner, type NoteVerifier, openNote, signNote } from './signed-note.ts';

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** A checkpoint of any log: the root may have another length, and lines may follow. */
export interface CheckpointBody extends Checkpoint {
  /** What follows the third line: empty, or whole lines. */
  readonly rest: string;
}

export function formatCheckpoint(checkpoint: Checkpoint): string {
  return `${checkpoint.origin}\n${checkpoint.size}\n${toBase64(checkpoint.root)}\n`;
}

/** The grammar alone. Undefined when the text is not a checkpoint. */
export function parseCheckpointBody(text: string): CheckpointBody | undefined {
  const [, origin, digits, encoded, rest] =
    /^([^\n]+)\n(0|[1-9][0-9]{0,15})\n([^\n]+)\n((?:[^\n]+\n)*)$/.exec(text) ?? [];
  if (origin === undefined || digits === undefined || encoded === undefined || rest === undefined) return undefined;
  const size = Number(digits);
  const root = fromBase64(encoded);
  if (!Number.isSafeInteger(size) || root === undefined) return undefined;
  return { origin, size, root, rest };
}

/** A checkpoint of a log like ours: 32 bytes of root, nothing after it. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  const body = parseCheckpointBody(text);
  if (body === undefined || body.rest !== '' || body.root.length !== HASH_BYTES) return undefined;
  const { origin, size, root } = body;
  return formatCheckpoint({ origin, size, root }) === text ? { origin, size, root } : undefined;
}

/** The signed note of a checkpoint. Never sign two roots for one size: see writer.ts. */
export function signCheckpoint(checkpoint: Checkpoint, signer: NoteSigner): string {
  return signNote(formatCheckpoint(checkpoint), [signer]);
}

/** The checkpoint of a note that `verifier` signed for the log of this origin. The only way to a root worth comparing with. */
export function openCheckpoint(
  note: string | Uint8Array,
  origin: string,
  verifier: NoteVerifier,
): Checkpoint | undefined {
  const opened = openNote(note, [verifier]);
  if (!opened.ok) return undefined;
  const checkpoint = parseCheckpoint(opened.text);
  return checkpoint?.origin === origin ? checkpoint : undefined;
}
