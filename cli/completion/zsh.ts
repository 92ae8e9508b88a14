// Completion for zsh, to be evaluated or put into a folder of $fpath.

import { allOf, type CommandShape, nameOf } from './command-shape.ts';
import { briefly, quoted, wordLists } from './word-lists.ts';

export function zshCompletion(program: CommandShape): string {
  const rows = allOf(program).map((shape) => {
    const { files, folders, values, choices } = wordLists(shape);
    const inner = shape.commands.map((one) => quoted(`${nameOf(one)}:${one.summary}`));
    const flags = shape.options.flatMap((option) => option.flags.map((flag) => quoted(`${flag}:${briefly(option)}`)));
    const lists = Object.entries({ inner, flags, files, folders, values, choices })
      .filter(([, words]) => words.length > 0)
      .map(([name, words]) => `      ${name}=(${words.join(' ')})`);
    return [`    ${quoted(shape.path)})`, ...lists, ...(shape.passesOn ? ['      passes=1'] : []), '      ;;'].join(
      '\n',
    );
  });
  return `#compdef portcullis
# zsh completion for portcullis. For every shell, with a folder that is in $fpath before compinit runs:
#   portcullis completion zsh > ~/.zfunc/_portcullis

_portcullis_words() {
  inner=() flags=() files=() folders=() values=() choices=() passes=''
  case $1 in
${rows.join('\n')}
  esac
}

_portcullis() {
  local at='' word skip='' passes=''
  local -a inner flags files folders values choices
  integer i arguments=0
  _portcullis_words ''
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    if [[ -n $skip ]]; then
      skip=''
    elif [[ $word == -- && -n $passes ]]; then
      # What comes now is the command of another program.
      words=("\${(@)words[i + 1, -1]}")
      ((CURRENT -= i))
      _normal
      return
    elif [[ $word == -* ]]; then
      if ((\${files[(Ie)$word]} || \${folders[(Ie)$word]} || \${values[(Ie)$word]})); then skip=$word; fi
    elif ((\${inner[(I)$word:*]})); then
      at=\${at:+$at }$word
      _portcullis_words "$at"
    else
      if [[ -n $passes ]]; then
        _files
        return
      fi
      ((arguments += 1))
    fi
  done
  if [[ -n $skip ]]; then
    if ((\${files[(Ie)$skip]})); then
      _files
    elif ((\${folders[(Ie)$skip]})); then
      _files -/
    else
      _message 'a value'
    fi
  elif [[ \${words[CURRENT]} == -* ]]; then
    _describe -o 'option' flags
  elif ((\${#inner})); then
    _describe 'command' inner
  elif ((\${#choices} && arguments == 0)); then
    _describe 'argument' choices
  else
    _files
  fi
}

if [[ \${funcstack[1]} == _portcullis ]]; then
  _portcullis "$@"
else
  compdef _portcullis portcullis
fi
`;
}
