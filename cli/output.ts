// How commands speak. Answers go to stdout, as text for people or as JSON for programs; everything else goes to stderr with our name in
// front. Text that came from outside is made visible before it is printed.

import { styleText } from 'node:util';
import { visibleText } from '../domain/visible-text.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';

type Style = Parameters<typeof styleText>[0];

export interface Output {
  readonly json: boolean;
  /** One line of the answer, for people. Nothing when JSON was asked for. */
  line(text: string): void;
  /** The whole answer, for programs. Nothing when text was asked for. */
  answer(value: unknown): void;
  /** Progress and remarks. */
  note(text: string): void;
  /** What went wrong, and what to do next. */
  error(text: string, ...hints: string[]): void;
  /** Colour where the terminal has some; never the only sign. */
  style(style: Style, text: string): string;
  /** Whether anybody still reads the answer. */
  heard(): boolean;
}

export interface OutputStreams {
  readonly stdout: {
    write(text: string): unknown;
    on?(event: 'error', listener: (error: Error) => void): unknown;
    readonly isTTY?: boolean;
  };
  readonly stderr: { write(text: string): unknown };
}

export function output(json: boolean, streams: OutputStreams = process): Output {
  const colours = !json && streams.stdout.isTTY === true && process.env.NO_COLOR === undefined;
  let answered = false;
  const reader = readerOf(streams.stdout);
  return {
    json,
    line: (text) => {
      if (!json) streams.stdout.write(`${text}\n`);
    },
    answer: (value) => {
      if (!json) return;
      answered = true;
      streams.stdout.write(`${JSON.stringify(value)}\n`);
    },
    note: (text) => {
      streams.stderr.write(`portcullis: ${text}\n`);
    },
    error: (text, ...hints) => {
      streams.stderr.write(`portcullis: ${text}\n`);
      for (const hint of hints) streams.stderr.write(`portcullis: hint: ${hint}\n`);
      // A program that asked for one value gets one: the answer says it already, or this does.
      if (json && !answered) streams.stdout.write(`${JSON.stringify({ error: text, hints })}\n`);
    },
    style: (style, text) => (colours ? styleText(style, text) : text),
    heard: () => !reader.gone,
  };
}

const readers = new WeakMap<OutputStreams['stdout'], { gone: boolean }>();

/** Node takes its standard output for writable again after every error. Listened to once, however many outputs a process has. */
function readerOf(stream: OutputStreams['stdout']): { readonly gone: boolean } {
  const known = readers.get(stream);
  if (known !== undefined) return known;
  const reader = { gone: false };
  stream.on?.('error', () => {
    reader.gone = true;
  });
  readers.set(stream, reader);
  return reader;
}

/** An expected end of a command that is not success: said to the user as it is, without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exit: ExitCode;
  readonly hints: readonly string[];

  constructor(message: string, exit: ExitCode = EXIT.error, hints: readonly string[] = []) {
    super(message);
    this.exit = exit;
    this.hints = hints;
  }
}

/** The message of anything thrown, on one visible line. */
export function reasonOf(error: unknown): string {
  return visibleText(error instanceof Error ? error.message : String(error));
}

/**
 * A reader that went away is no fault of ours: `portcullis log | head` ends as it would have, and a gate whose notes nobody reads goes on.
 * Without this the process would end in the middle of what it does. Calls `onLost` when the answer could not be written for another reason.
 */
export function outliveReaders(onLost: (reason: string) => void): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') onLost(reasonOf(error));
  });
  process.stderr.on('error', () => {
    // There is nowhere left to say it.
  });
}
