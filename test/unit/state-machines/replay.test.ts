// What replay says about entries that a gate did not write so. Every change here also breaks the chain of hashes; replay has to notice by
// itself, because it is what explains a ledger to somebody who wrote it.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry, EntryBody } from '../../../domain/entry.ts';
import type { Json, JsonObject } from '../../../domain/json.ts';
import type { ExecutionEvent } from '../../../state-machines/execution-events.ts';
import { closeOpen, replay } from '../../../state-machines/replay.ts';
import { begin, step } from '../../../state-machines/step.ts';
import { proves } from '../../guarantees.ts';
import { commitmentOf } from '../../support/commitments.ts';
import { EVENTS, REQUESTED } from '../../support/execution-events.ts';

const { call } = REQUESTED;

function entry(seq: number, body: EntryBody): Entry {
  const header = {
    v: 1,
    log: 'portcullis.test/gate',
    seq,
    prev: commitmentOf(`${seq - 1}`),
    epoch: 1,
    mono: seq,
  } as const;
  return { ...header, ts: '2026-01-01T00:00:00.000Z', ...(JSON.parse(JSON.stringify(body)) as EntryBody) };
}

/** The entries that a gate writes for a run of events. */
function recordedBy(...events: ExecutionEvent[]): Entry[] {
  const entries: Entry[] = [];
  let [execution, effects] = begin(REQUESTED);
  for (const event of events) {
    [execution, effects] = step(execution, event);
    for (const effect of effects) if ('body' in effect) entries.push(entry(entries.length + 1, effect.body));
  }
  return entries;
}

const ALLOWED = [EVENTS['decision.allowed'], EVENTS['permit.verified']];
const INTENT = EVENTS['intent.recorded'];
const completed = () => recordedBy(...ALLOWED, INTENT, EVENTS['tool.answered']);
const denied = () => recordedBy(EVENTS['decision.denied']);
const open = () => recordedBy(...ALLOWED);
const eventsOf = (from: Entry) => from.events as readonly JsonObject[];

function changed(from: Entry, change: JsonObject): Entry {
  return { ...from, ...change } as Entry;
}

describe('what a gate wrote', () => {
  const ENDINGS: readonly (readonly [string, ExecutionEvent[], string])[] = [
    ['a denial', [EVENTS['decision.denied']], 'denied.recorded'],
    ['a permit refused', [EVENTS['decision.allowed'], EVENTS['permit.refused']], 'denied.recorded'],
    ['a completed call', [...ALLOWED, INTENT, EVENTS['tool.answered']], 'audited'],
    ['a withheld answer', [...ALLOWED, INTENT, EVENTS['output.refused']], 'denied.recorded'],
    ['a call refused at the door', [...ALLOWED, INTENT, EVENTS['dispatch.refused']], 'denied.recorded'],
    [
      'a call withdrawn while its intent was written',
      [...ALLOWED, EVENTS['call.cancelled'], INTENT],
      'denied.recorded',
    ],
    ['a lost tool', [...ALLOWED, INTENT, EVENTS['tool.lost']], 'denied.recorded'],
  ];
  for (const [what, events, state] of ENDINGS) {
    proves('G5', `${what} replays as a match`, () => {
      expect(replay({ call, entries: recordedBy(...events) })).toMatchObject({
        verdict: 'match',
        execution: { state },
      });
    });
  }

  it('an intent without an ending is open', () => {
    expect(replay({ call, entries: open() })).toMatchObject({
      verdict: 'open',
      execution: { state: 'verified.recording' },
    });
  });
});

describe('what no gate wrote', () => {
  const [intent, ending] = completed() as [Entry, Entry];
  const [denial] = denied() as [Entry];
  const other = '01KAJ0000000000000000000ZZ';
  const CHANGES: readonly (readonly [string, readonly Entry[]])[] = [
    ['no entries', []],
    ['an ending alone', [ending]],
    ['the ending before the intent', [ending, intent]],
    ['two intents', [intent, intent]],
    ['two endings', [intent, ending, ending]],
    ['an ending after a denial', [denial, ending]],
    ['two denials', [denial, denial]],
    ['a denial after the ending', [intent, ending, denial]],
    ['entries of another call', completed().map((each) => changed(each, { call: other }))],
    ['an entry of another call among them', [intent, changed(ending, { call: other })]],
    ['an ending that names another intent', [changed(intent, { seq: 7 }), ending]],
    [
      'a completed outcome of a call that failed',
      [intent, changed(ending, { outcome: { status: 'errored', dispatched: true } })],
    ],
    [
      'an outcome that says it did not run',
      [intent, changed(ending, { outcome: { status: 'completed', dispatched: false } })],
    ],
    [
      'an outcome with a reason',
      [intent, changed(ending, { outcome: { status: 'completed', dispatched: true, code: 'TOOL_LOST' } })],
    ],
    ['another code of a denial', [changed(denial, { code: 'POLICY_FORBID' })]],
    ['another type', [changed(denial, { type: 'call.ending' })]],
    ['a field more', [changed(denial, { note: 'harmless' })]],
    ['no events', [changed(denial, { events: [] })]],
    ['events that are no list', [changed(denial, { events: {} })]],
    ['events that are no events', [changed(denial, { events: [null, 1, 'x', {}] })]],
    ['an event without a type', [changed(denial, { events: [...eventsOf(denial), { at: 1 }] })]],
    [
      'an event of a type that does not exist',
      [changed(denial, { events: [...eventsOf(denial), { type: 'call.forgiven' }] })],
    ],
    ['an event with the type of a method', [changed(denial, { events: [...eventsOf(denial), { type: 'toString' }] })]],
    ['the last event dropped', [changed(denial, { events: eventsOf(denial).slice(0, -1) })]],
    ['the first event dropped', [changed(denial, { events: eventsOf(denial).slice(1) })]],
    ['the events in another order', [changed(intent, { events: eventsOf(intent).toReversed() })]],
    ['the verification of the permit left out', [changed(intent, { events: eventsOf(intent).slice(0, 2) })]],
    ['the request twice', [changed(denial, { events: [eventsOf(denial)[0] as Json, ...eventsOf(denial)] })]],
    [
      'a late event that changes nothing, recorded',
      [changed(denial, { events: [...eventsOf(denial), { type: 'deadline.passed' }] }), denial],
    ],
    [
      'a request without a call',
      [changed(denial, { events: [{ type: 'call.requested' }, ...eventsOf(denial).slice(1)] })],
    ],
    [
      'a denial without a code',
      [changed(denial, { events: [eventsOf(denial)[0] as Json, { type: 'decision.denied' }] })],
    ],
  ];
  for (const [what, entries] of CHANGES) {
    proves('G5', `${what}: replay does not say that it matches`, () => {
      expect(replay({ call, entries })).toMatchObject({ verdict: 'mismatch' });
    });
  }

  it('names the entry', () => {
    expect(replay({ call, entries: [intent, changed(ending, { outcome: null })] })).toMatchObject({ seq: ending.seq });
  });

  it('never throws, whatever JSON stands where events should', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { maxLength: 5 }), fc.jsonValue(), (events, extra) => {
        const body = { type: 'call.denial', call, code: extra as Json, events: events as Json[] };
        const hostile = JSON.parse(JSON.stringify(body)) as EntryBody;
        expect(replay({ call, entries: [entry(1, hostile)] }).verdict).toBe('mismatch');
      }),
    );
  });
});

describe('recovery', () => {
  proves('G6', 'an open intent gets the one ending that says what is known: nothing', () => {
    const entries = open();
    const body = closeOpen({ call, entries }, 2);
    expect(body).toMatchObject({
      type: 'call.ending',
      call,
      outcome: { status: 'unknown', dispatched: true, code: 'CRASH_INDETERMINATE' },
      events: [
        { type: 'intent.recorded', seq: 1 },
        { type: 'gate.restarted', epoch: 2 },
      ],
    });
    expect(replay({ call, entries: [...entries, entry(2, body as EntryBody)] })).toMatchObject({ verdict: 'match' });
  });

  it('closes nothing that is closed, and nothing that cannot be explained', () => {
    expect(closeOpen({ call, entries: completed() }, 2)).toBeUndefined();
    expect(closeOpen({ call, entries: denied() }, 2)).toBeUndefined();
    expect(closeOpen({ call, entries: [] }, 2)).toBeUndefined();
    expect(closeOpen({ call, entries: completed().slice(1) }, 2)).toBeUndefined();
  });

  it('closes once: what it wrote is not open any more', () => {
    const entries = open();
    const closed = [...entries, entry(2, closeOpen({ call, entries }, 2) as EntryBody)];
    expect(closeOpen({ call, entries: closed }, 3)).toBeUndefined();
  });
});
