// Calls that wait for their client: so many and no more, and no longer than they run or may wait.

import { describe, expect, it } from 'vitest';
import { HeldCall } from '../../../../../adapters/downstream/modern/held-call.ts';
import { HeldCalls } from '../../../../../adapters/downstream/modern/held-calls.ts';
import type { CallId } from '../../../../../domain/ids.ts';
import { rootLineage } from '../../../../../domain/lineage.ts';
import type { CallEnd } from '../../../../../proxy/client-view.ts';
import { HELD_CALL_MS, HELD_CALLS_MAX, HELD_CALLS_PER_PRINCIPAL_MAX } from '../../../../../proxy/limits.ts';
import type { RunningCall } from '../../../../../proxy/running-call.ts';
import { settled } from '../../../../support/gate-world.ts';
import { ManualClock } from '../../../../support/ledger.ts';

function world() {
  const clock = new ManualClock();
  const calls = new HeldCalls(clock);
  const stopped: string[] = [];
  let begun = 0;
  const hold = (agent = 'coder') => {
    begun += 1;
    const id = `call ${begun}` as CallId;
    let end: (end: CallEnd) => void = () => {};
    const ended = new Promise<CallEnd>((resolve) => {
      end = resolve;
    });
    const stop: RunningCall['stop'] = ({ type }) => stopped.push(`${id} ${type}`);
    const running: RunningCall = {
      call: id,
      end: ended,
      permit: '',
      lineage: rootLineage(id),
      stop,
      recheck: () => {},
    };
    const call = new HeldCall(() => ({ code: 'GOV_NOT_READY' }));
    call.runs(running);
    return {
      id,
      call,
      end: () => end({ kind: 'denied', call: id, code: 'CANCELLED', executed: 'no', recorded: true }),
      isHeld: calls.hold(call, running, agent),
    };
  };
  return { calls, clock, hold, stopped };
}

describe('a held call', () => {
  it('is taken once, and is not stopped then', () => {
    const { calls, clock, hold, stopped } = world();
    const { id, call } = hold();
    expect(calls.take(id)).toBe(call);
    expect(calls.take(id)).toBeUndefined();
    clock.advance(HELD_CALL_MS);
    expect(stopped).toEqual([]);
  });

  it('is stopped when it has waited for too long, and not before', () => {
    const { calls, clock, hold, stopped } = world();
    const { id } = hold();
    clock.advance(HELD_CALL_MS - 1);
    expect(stopped).toEqual([]);
    clock.advance(1);
    expect(stopped).toEqual([`${id} call.cancelled`]);
    expect(calls.take(id)).toBeUndefined();
  });

  it('that has ended by itself is held no longer, and leaves its place', async () => {
    const { calls, clock, hold, stopped } = world();
    const all = Array.from({ length: HELD_CALLS_PER_PRINCIPAL_MAX }, () => hold());
    expect(hold().isHeld).toBe(false);
    const [first] = all;
    first?.end();
    await settled();
    expect(calls.take(first?.id as CallId)).toBeUndefined();
    expect(hold().isHeld).toBe(true);
    clock.advance(HELD_CALL_MS);
    expect(stopped).not.toContain(`${first?.id} call.cancelled`);
  });
});

it('so many are held over all agents and no more, however many agents there are', () => {
  const { hold } = world();
  for (let call = 0; call < HELD_CALLS_MAX; call += 1) expect(hold(`agent ${call}`).isHeld).toBe(true);
  expect(hold('another').isHeld).toBe(false);
});
