// portcullis completion: a script for a shell, made from the commands that there are. With --json the commands themselves, for whoever writes a
// reference of them.

import type { Command } from 'commander';
import { bashCompletion } from '../completion/bash.ts';
import { shapeOf } from '../completion/command-shape.ts';
import { fishCompletion } from '../completion/fish.ts';
import { zshCompletion } from '../completion/zsh.ts';
import { EXIT } from '../exit-codes.ts';
import type { Output } from '../output.ts';

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
export type Shell = keyof typeof SCRIPTS;

export function completion(shell: Shell, program: Command, out: Output): number {
  const shape = shapeOf(program);
  const script = SCRIPTS[shell](shape);
  out.answer({ shell, script, program: shape });
  out.line(script.trimEnd());
  return EXIT.ok;
}
