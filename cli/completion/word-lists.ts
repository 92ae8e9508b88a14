// What all three shells are told of one command.

import { type CommandShape, nameOf, type OptionShape, valueKind } from './command-shape.ts';

export interface WordLists {
  readonly commands: readonly string[];
  readonly flags: readonly string[];
  /** Flags behind which a file, a folder, or something that we do not know stands. */
  readonly files: readonly string[];
  readonly folders: readonly string[];
  readonly values: readonly string[];
  /** What the first argument can be, where that is known. */
  readonly choices: readonly string[];
}

export function wordLists(shape: CommandShape): WordLists {
  const behind = (kind: ReturnType<typeof valueKind>): string[] =>
    shape.options.filter((option) => valueKind(option) === kind).flatMap(({ flags }) => flags);
  return {
    commands: shape.commands.map(nameOf),
    flags: shape.options.flatMap(({ flags }) => flags),
    files: behind('file'),
    folders: behind('folder'),
    values: behind('other'),
    choices: shape.arguments[0]?.choices ?? [],
  };
}

/** The text between single quotes, as bash and zsh read them. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The first line of what an option is for. */
export function briefly({ description }: Pick<OptionShape, 'description'>): string {
  return description.split('\n')[0] ?? '';
}
