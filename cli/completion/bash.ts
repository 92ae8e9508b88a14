// Completion for bash 3.2 and newer, as a script to be sourced.

import { allOf, type CommandShape } from './command-shape.ts';
import { quoted, wordLists } from './word-lists.ts';

export function bashCompletion(program: CommandShape): string {
  const rows = allOf(program).map((shape) => {
    const { commands, flags, files, folders, values, choices } = wordLists(shape);
    const lists = Object.entries({ commands, flags, files, folders, values, choices })
      .filter(([, words]) => words.length > 0)
      .map(([name, words]) => `${name}=${quoted(words.join(' '))}`);
    return `    ${quoted(shape.path)}) ${[...lists, shape.passesOn ? 'passes=1' : ''].join(' ').trim()} ;;`;
  });
  return `# bash completion for portcullis. To have it in every shell:
#   portcullis completion bash > "\${XDG_DATA_HOME:-$HOME/.local/share}/bash-completion/completions/portcullis"

_portcullis_words() {
  commands='' flags='' files='' folders='' values='' choices='' passes=''
  case $1 in
${rows.join('\n')}
  esac
}

_portcullis() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at='' word i arguments=0 skip='' IFS=$' \\t\\n'
  local commands flags files folders values choices passes
  COMPREPLY=()
  _portcullis_words ''
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ -n $skip ]]; then
      skip=''
    elif [[ $word == -- && -n $passes ]]; then
      # What comes now is the command of another program.
      if ((i == COMP_CWORD - 1)); then COMPREPLY=($(compgen -c -- "$cur")); fi
      return
    elif [[ $word == -* ]]; then
      if [[ " $files $folders $values " == *" $word "* ]]; then skip=1; fi
    elif [[ " $commands " == *" $word "* ]]; then
      at=\${at:+$at }$word
      _portcullis_words "$at"
    else
      if [[ -n $passes ]]; then return; fi
      arguments=$((arguments + 1))
    fi
  done
  if [[ -n $skip ]]; then
    # With nothing to say, the shell offers files.
    if [[ " $folders " == *" $prev "* ]]; then
      IFS=$'\\n'
      COMPREPLY=($(compgen -d -- "$cur"))
      compopt -o filenames 2>/dev/null
    elif [[ " $values " == *" $prev "* ]]; then
      compopt +o default 2>/dev/null
    fi
  elif [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  elif [[ -n $commands ]]; then
    COMPREPLY=($(compgen -W "$commands" -- "$cur"))
    compopt +o default 2>/dev/null
  elif [[ -n $choices && $arguments -eq 0 ]]; then
    COMPREPLY=($(compgen -W "$choices" -- "$cur"))
    compopt +o default 2>/dev/null
  fi
}

complete -o default -F _portcullis portcullis
`;
}
