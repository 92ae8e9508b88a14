// What a call's client does while it runs, for tests that look at something else: nothing, unless told.

import type { Asking, CallHooks } from '../../proxy/tool-server.ts';

const NOT_ASKED: Asking = {
  answer: Promise.resolve({ kind: 'error', error: { code: 40_364, message: 'nobody is there to ask' } }),
  cancel: () => {},
};

export const QUIET: CallHooks = { onProgress: () => {}, onLog: () => {}, ask: () => NOT_ASKED };

export function hooks(some: Partial<CallHooks>): CallHooks {
  return { ...QUIET, ...some };
}

/** What becomes of questions in a call that nobody follows. */
export const NO_QUESTIONS = { refuseQuestion: () => NOT_ASKED, admitQuestions: async () => undefined };
