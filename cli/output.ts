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
}

export interface OutputStreams {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown };
}

export function output(json: boolean, streams: OutputStreams = process): Output {
  const colours = !json && streams.stdout.isTTY === true && process.env.NO_COLOR === undefined;
  return {
    json,
    line: (text) => {
      if (!json) streams.stdout.write(`${text}\n`);
    },
    answer: (value) => {
      if (json) streams.stdout.write(`${JSON.stringify(value)}\n`);
    },
    note: (text) => {
      streams.stderr.write(`portcullis: ${text}\n`);
    },
    error: (text, ...hints) => {
      streams.stderr.write(`portcullis: ${text}\n`);
      for (const hint of hints) streams.stderr.write(`portcullis: hint: ${hint}\n`);
      if (json) streams.stdout.write(`${JSON.stringify({ error: text, hints })}\n`);
    },
    style: (style, text) => (colours ? styleText(style, text) : text),
  };
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
