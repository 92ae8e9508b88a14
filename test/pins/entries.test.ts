// The bytes of an entry of each kind, made by the live fold from fixed facts: ledgers on disks everywhere hold such lines, and replay reads
// them with the code of today.

import { expect, it } from 'vitest';
import type { EntryBody } from '../../domain/entry.ts';
import { encodeEntry, prepareBody } from '../../ledger/entry-line.ts';
import type { ExecutionEvent, ExecutionEventType } from '../../state-machines/execution-events.ts';
import { closeOpen } from '../../state-machines/replay.ts';
import { begin, type Effect, step } from '../../state-machines/step.ts';
import { EVENTS, REQUESTED } from '../support/execution-events.ts';
import { pinned } from './pinned.ts';

/** The entries that an execution leaves behind. */
function bodiesOf(...types: readonly ExecutionEventType[]): EntryBody[] {
  const bodies: EntryBody[] = [];
  const keep = (effects: readonly Effect[]): void => {
    for (const effect of effects) if ('body' in effect) bodies.push(effect.body);
  };
  let [execution, effects] = begin(REQUESTED);
  keep(effects);
  for (const type of types) {
    [execution, effects] = step(execution, EVENTS[type] as ExecutionEvent);
    keep(effects);
  }
  return bodies;
}

const PERMITTED = ['decision.allowed', 'permit.verified'] as const;
const EXECUTING = [...PERMITTED, 'intent.recorded'] as const;

const LIVES: Readonly<Record<string, readonly ExecutionEventType[]>> = {
  'denied by the rules': ['decision.denied'],
  'a permit that is refused': ['decision.allowed', 'permit.refused'],
  'cancelled before the decision': ['call.cancelled'],
  completed: [...EXECUTING, 'tool.answered'],
  'refused at the last check': [...EXECUTING, 'dispatch.refused'],
  'an answer that is withheld': [...EXECUTING, 'output.refused'],
  'a server that is lost': [...EXECUTING, 'tool.lost'],
  'out of time': [...EXECUTING, 'deadline.passed'],
  'cancelled while it runs': [...EXECUTING, 'call.cancelled'],
  'authority withdrawn': [...EXECUTING, 'authority.withdrawn'],
};

function lineOf(body: EntryBody, seq: number): string {
  const header = {
    v: 1,
    log: 'portcullis.example/gate',
    seq,
    prev: 'sha256:P8DMYirilDe9yrjqMa3Cz4yiXG6U33fzIinF3sFdAu0',
    epoch: 1,
    ts: '2026-01-01T00:00:01.500Z',
    mono: 1_500_000,
  } as const;
  return encodeEntry(header, prepareBody(body));
}

it('every kind of life leaves exactly these lines', () => {
  const lines = Object.values(LIVES).flatMap((types) => bodiesOf(...types).map((body, at) => lineOf(body, at + 1)));
  const [intent] = bodiesOf(...PERMITTED);
  if (intent === undefined) throw new Error('no intent');
  const entry = JSON.parse(lineOf(intent, 1)) as Parameters<typeof closeOpen>[0]['entries'][number];
  const ending = closeOpen({ call: REQUESTED.call, entries: [entry] }, 2);
  if (ending === undefined) throw new Error('the open call was not closed');
  expect([...lines, lineOf(ending, 2)]).toEqual(pinned('entries.jsonl'));
});
