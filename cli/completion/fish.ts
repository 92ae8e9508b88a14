// Completion for fish 3 and newer, as a file of its completions folder.

import { allOf, type CommandShape, nameOf, type OptionShape, valueKind } from './command-shape.ts';
import { briefly, wordLists } from './word-lists.ts';

export function fishCompletion(program: CommandShape): string {
  const shapes = allOf(program);
  const cases = shapes.flatMap((shape) => {
    const { commands, files, folders, values } = wordLists(shape);
    return [
      `    case ${fishQuoted(shape.path)}`,
      `      set -g __portcullis_inner ${commands.join(' ')}`.trimEnd(),
      `      set -g __portcullis_taking ${[...files, ...folders, ...values].join(' ')}`.trimEnd(),
      `      set -g __portcullis_passes ${shape.passesOn ? '1' : ''}`.trimEnd(),
    ];
  });
  const lines = shapes.flatMap((shape) => {
    const here = `complete -c portcullis -n ${fishQuoted(`__portcullis_at ${fishQuoted(shape.path)}`)}`;
    return [
      ...shape.commands.map((one) => `${here} -f -a ${nameOf(one)} -d ${fishQuoted(one.summary)}`),
      ...(shape.arguments[0]?.choices ?? []).map((choice) => `${here} -f -a ${fishQuoted(choice)}`),
      ...shape.options.map((option) => `${here} ${flagsOf(option)} -d ${fishQuoted(briefly(option))}`),
    ];
  });
  return `# fish completion for portcullis. To have it in every shell:
#   portcullis completion fish > ~/.config/fish/completions/portcullis.fish

function __portcullis_words
  switch $argv[1]
${cases.join('\n')}
  end
end

# Whether the line has come to this command, with nothing of another program begun.
function __portcullis_at
  set -l at ''
  set -l skip 0
  set -l tokens (commandline -opc)
  set -e tokens[1]
  __portcullis_words ''
  for word in $tokens
    if test $skip = 1
      set skip 0
    else if test "$word" = -- -a -n "$__portcullis_passes"
      return 1
    else if string match -q -- '-*' $word
      if contains -- $word $__portcullis_taking
        set skip 1
      end
    else if contains -- $word $__portcullis_inner
      set at (string trim -- "$at $word")
      __portcullis_words $at
    else if test -n "$__portcullis_passes"
      return 1
    end
  end
  test "$at" = "$argv[1]"
end

${lines.join('\n')}
`;
}

function flagsOf(option: OptionShape): string {
  const flags = option.flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const behind = { none: '', file: ' -r -F', folder: " -x -a '(__fish_complete_directories)'", other: ' -x' };
  return `${flags.join(' ')}${behind[valueKind(option)]}`;
}

/** The text between single quotes, as fish reads them. */
function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
