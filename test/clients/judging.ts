// How a step is judged: a sentence that says what is wrong, or nothing; and what becomes of it in the report.

import type { UserHome } from './user-home.ts';
import type { ClientWorld } from './world.ts';

export interface Step {
  readonly name: string;
  readonly passed: boolean;
  /** What was seen, or what was wrong. */
  readonly detail: string;
  readonly ms: number;
  /** Of one that failed: what commands, the model and the gate said last. */
  readonly evidence?: string;
}

class Wrong extends Error {}

export class Steps {
  readonly done: Step[] = [];
  readonly #user: UserHome;
  readonly #onStep: (step: Step) => void;

  constructor(user: UserHome, onStep: (step: Step) => void) {
    this.#user = user;
    this.#onStep = onStep;
  }

  /** Never rejects. False where it failed. */
  async take(name: string, work: () => Promise<string>): Promise<boolean> {
    const started = Date.now();
    const seen = await work().then(
      (detail) => ({ passed: true, detail }),
      (error: unknown) => ({
        passed: false,
        detail: error instanceof Wrong ? error.message : String(error instanceof Error ? error.stack : error),
        evidence: this.#user.evidence(),
      }),
    );
    const step = { name, ...seen, ms: Date.now() - started };
    this.#user.judged();
    this.done.push(step);
    this.#onStep(step);
    return seen.passed;
  }
}

/** Most clients put the server's name before that of the tool, each in its own way. */
export function toolOf(server: string, tool: string): string {
  return `(?:^|${server}[^a-z]*)${tool}$`;
}

/** What every client's file says of the gate after `init`, and that no comment was lost. */
export function checkWrapped(world: ClientWorld): void {
  check(world.bytes().includes('portcullis.js'), `init did not write ${world.file}`);
  const lost = commentsIn(world.text).filter((comment) => !world.bytes().includes(comment));
  check(lost.length === 0, `comments were lost: ${lost.join(' ')}`);
}

/** The id of the call in the text of a denial. */
export function denialIn(told: string, code: string): string {
  const found = /Denied by Portcullis \((?<code>[A-Z_]+)\).*?(?:explain (?<call>\w+))?$/ms.exec(told)?.groups;
  check(found?.code?.includes(code) === true, `the model was told ${shown(told)}`);
  return /policy explain (\w+)/.exec(told)?.[1] ?? '';
}

export function sentenceOf(told: string): string {
  return /Denied by Portcullis[^\n"\\]*/.exec(told)?.[0].trim() ?? told.trim();
}

function commentsIn(text: string): string[] {
  return [...text.matchAll(/(?<=^|\s)(?:#|\/\/)\s[^\n]*/gm)].map(([comment]) => comment.trim());
}

export function shown(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line === '' ? 'nothing' : `"${line.length > 400 ? `${line.slice(0, 400)}...` : line}"`;
}

export function same(one: readonly string[], other: readonly string[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

export function check(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Wrong(otherwise);
}
