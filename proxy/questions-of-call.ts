// What one call's server asks of the client while it works on it: as long as the call runs, so many times, and no longer than the call. What
// is asked beyond that is refused and recorded. Whether a question may be put at all is decided elsewhere, each by itself.

import { type Denial, deny } from '../domain/denial.ts';
import type { Deadline } from './deadline.ts';
import { QUESTIONS_PER_CALL_MAX } from './limits.ts';
import type { Asking, Question } from './tool-server.ts';

export interface QuestionPorts {
  /** Puts a question to the client. */
  readonly ask: (question: Question) => Asking;
  /** Records that a question was not put, and answers it so. */
  readonly refuse: (question: Question, denial: Denial) => Asking;
  /** Whether the server still works on the call. */
  readonly isRunning: () => boolean;
  /** The call's own time. While the client considers a question it stands still: the question has its own. */
  readonly deadline: Deadline;
}

export class QuestionsOfCall {
  readonly #ports: QuestionPorts;
  readonly #open = new Set<Asking>();
  #count = 0;

  constructor(ports: QuestionPorts) {
    this.#ports = ports;
  }

  ask(question: Question): Asking {
    const { ask, refuse, isRunning, deadline } = this.#ports;
    if (!isRunning()) return refuse(question, deny('CLIENT_CANNOT_BE_ASKED', 'the call has ended'));
    if (this.#count >= QUESTIONS_PER_CALL_MAX)
      return refuse(question, deny('CLIENT_CANNOT_BE_ASKED', 'too many questions in one call'));
    this.#count += 1;
    if (this.#open.size === 0) deadline.pause();
    const asking = ask(question);
    this.#open.add(asking);
    void asking.answer.then(() => {
      this.#open.delete(asking);
      if (this.#open.size === 0 && isRunning()) deadline.resume();
    });
    return asking;
  }

  /** Nobody wants to know any more. */
  withdraw(): void {
    for (const asking of this.#open) asking.cancel('the call has ended');
  }
}
