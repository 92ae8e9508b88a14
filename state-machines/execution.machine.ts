// The life of one execution, as an XState machine. It is the only definition: the transition table of the hot path, the diagrams, the
// model-based tests and replay are all derived from it (transition-table.ts).
// It has no guard, no context and no invocation: what happened is in the events, and which state follows is decided by their type alone.
//
// Before the intent is durable every surprise leads to `denied`. After it the tool may have run: the client is denied, and the outcome
// says what is known. The result is released only from `audited`.

import { createMachine } from 'xstate';

/** Orders to the runner, in the order in which it must begin them. */
export const EFFECTS = [
  'decide',
  'verify_permit',
  'record_intent',
  'call_tool',
  'cancel_tool',
  'record_outcome',
  'release_result',
  'record_denial',
  'answer_denial',
  'halt_gate',
] as const;

export type EffectType = (typeof EFFECTS)[number];

/** Marks a fact that comes too late to change anything: a named no-op, because an unnamed one would be a silently dropped event. */
export const TOO_LATE = 'too_late';

const to = (target: string, ...effects: EffectType[]) => ({ target: `#execution.${target}`, actions: [...effects] });
const late = { actions: [TOO_LATE] };

const refused = to('denied.recording', 'record_denial');
const withheld = to('executing.withholding', 'record_outcome');
const stopped = to('executing.withholding', 'cancel_tool', 'record_outcome');
const unrecorded = to('denied.unrecorded', 'halt_gate', 'answer_denial');

/** What can go wrong at any moment before the intent is being written. */
const surprises = {
  'call.cancelled': refused,
  'deadline.passed': refused,
  'authority.withdrawn': refused,
  'fault.occurred': refused,
};

/** Facts that may still arrive while an ending is being written. */
const afterTheEnd = {
  'call.cancelled': late,
  'deadline.passed': late,
  'authority.withdrawn': late,
  'fault.occurred': late,
  'tool.answered': late,
  'tool.lost': late,
  'output.refused': late,
};

/** What decides and what verifies cannot be stopped: their answers may still come when the call is already denied. */
const afterTheDenial = {
  'decision.allowed': late,
  'decision.denied': late,
  'permit.verified': late,
  'permit.refused': late,
};

export const executionMachine = createMachine({
  id: 'execution',
  initial: 'requested',
  states: {
    requested: {
      entry: ['decide'],
      on: {
        'decision.allowed': to('authorized', 'verify_permit'),
        'decision.denied': refused,
        ...surprises,
      },
    },
    authorized: {
      on: {
        'permit.verified': to('verified.recording', 'record_intent'),
        'permit.refused': refused,
        ...surprises,
      },
    },
    verified: {
      initial: 'recording',
      states: {
        // The intent entry is on its way to the disk. It may become durable whatever happens now, so a surprise is remembered in the
        // state and the execution is ended, undispatched, when the entry is there.
        recording: {
          on: {
            'intent.recorded': to('executing.running', 'call_tool'),
            'record.failed': unrecorded,
            'call.cancelled': to('verified.withdrawn'),
            'deadline.passed': to('verified.withdrawn'),
            'authority.withdrawn': to('verified.withdrawn'),
            'fault.occurred': to('verified.withdrawn'),
          },
        },
        withdrawn: {
          on: {
            'intent.recorded': withheld,
            'record.failed': unrecorded,
            ...afterTheEnd,
          },
        },
      },
    },
    executing: {
      initial: 'running',
      states: {
        running: {
          on: {
            'tool.answered': to('executing.releasing', 'record_outcome'),
            'dispatch.refused': withheld,
            'output.refused': withheld,
            'tool.lost': withheld,
            'call.cancelled': stopped,
            'deadline.passed': stopped,
            'authority.withdrawn': stopped,
            'fault.occurred': stopped,
            'gate.restarted': withheld,
          },
        },
        releasing: {
          on: {
            'outcome.recorded': to('audited', 'release_result'),
            'record.failed': unrecorded,
            ...afterTheEnd,
          },
        },
        withholding: {
          on: {
            'outcome.recorded': to('denied.recorded', 'answer_denial'),
            'record.failed': unrecorded,
            // A server answers only later that it never took the call.
            'dispatch.refused': late,
            ...afterTheEnd,
          },
        },
      },
    },
    audited: { type: 'final' },
    denied: {
      initial: 'recording',
      states: {
        recording: {
          on: {
            'denial.recorded': to('denied.recorded', 'answer_denial'),
            'record.failed': unrecorded,
            ...afterTheDenial,
            ...afterTheEnd,
          },
        },
        recorded: { type: 'final' },
        unrecorded: { type: 'final' },
      },
    },
  },
});
