// Asking the person at the terminal. Where there is nobody, nobody is asked, and nothing is taken for a yes.

import { createInterface } from 'node:readline/promises';
import type { Output } from './output.ts';

/** Whether there is somebody who can be shown something and asked. */
export function mayAsk(out: Output): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true && !out.json;
}

/** What was answered, without spaces around it; empty where the input ended. */
export async function answerTo(question: string): Promise<string> {
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const ended = new Promise<string>((resolve) => asking.once('close', () => resolve('')));
    return (await Promise.race([asking.question(question), ended])).trim();
  } finally {
    asking.close();
  }
}

export async function confirmed(question: string): Promise<boolean> {
  return /^y(es)?$/i.test(await answerTo(question));
}
