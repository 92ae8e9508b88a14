// The commands of the program as plain values, read off commander's own tree: what completion and the reference are made from.

import type { Argument, Command, Option } from 'commander';

export interface ArgumentShape {
  readonly name: string;
  readonly required: boolean;
  readonly variadic: boolean;
  readonly description: string;
  readonly choices: readonly string[];
}

export interface OptionShape {
  /** `--last`, and `-n` where there is a short one. */
  readonly flags: readonly string[];
  /** What stands behind it, as its help calls it (`file`); absent where nothing does. */
  readonly value?: string;
  readonly variadic: boolean;
  readonly required: boolean;
  readonly description: string;
  readonly choices: readonly string[];
}

export interface CommandShape {
  /** As it is typed, without our own name: `policy init`. Empty for the program itself. */
  readonly path: string;
  readonly summary: string;
  readonly arguments: readonly ArgumentShape[];
  readonly options: readonly OptionShape[];
  readonly commands: readonly CommandShape[];
  /** What stands behind its first argument belongs to another program. */
  readonly passesOn: boolean;
}

/** What a command and those below it look like; what its help hides is left out. */
export function shapeOf(command: Command, path = ''): CommandShape {
  const help = command.createHelp();
  const inner = help.visibleCommands(command).filter((one) => command.commands.includes(one));
  return {
    path,
    summary: command.summary() || command.description(),
    arguments: command.registeredArguments.map(argumentOf),
    options: help.visibleOptions(command).map(optionOf),
    commands: inner.map((one) => shapeOf(one, path === '' ? one.name() : `${path} ${one.name()}`)),
    passesOn: /[ []-- /.test(command.usage()),
  };
}

/** A command and all below it, as they are listed. */
export function allOf(shape: CommandShape): readonly CommandShape[] {
  return [shape, ...shape.commands.flatMap(allOf)];
}

/** The last word of its path. */
export function nameOf({ path }: CommandShape): string {
  return path.slice(path.lastIndexOf(' ') + 1);
}

/** What a shell should offer for the value of an option. */
export function valueKind({ value }: OptionShape): 'file' | 'folder' | 'other' | 'none' {
  if (value === undefined) return 'none';
  if (/^(?:file|path)$/.test(value)) return 'file';
  return /^(?:dir|folder)$/.test(value) ? 'folder' : 'other';
}

function argumentOf(argument: Argument): ArgumentShape {
  return {
    name: argument.name(),
    required: argument.required,
    variadic: argument.variadic,
    description: argument.description,
    choices: argument.argChoices ?? [],
  };
}

function optionOf(option: Option): OptionShape {
  const value = /[<[]([^>\].]+)/.exec(option.flags)?.[1];
  return {
    flags: [option.long, option.short].filter((flag) => flag !== undefined && flag !== null),
    ...(value === undefined ? {} : { value }),
    variadic: option.variadic,
    required: option.mandatory,
    description: option.description,
    choices: option.argChoices ?? [],
  };
}
