import { describe, expect, it } from 'vitest';
import { PolicyTurnover } from '../../../proxy/policy-turnover.ts';
import { settled } from '../../support/gate-world.ts';
import { ManualClock } from '../../support/ledger.ts';

describe('when one policy takes over from another', () => {
  it('new decisions wait until it has', async () => {
    const turnover = new PolicyTurnover(new ManualClock());
    const letGo = await turnover.hold();
    let entered = false;
    const entering = turnover.enter().then(() => {
      entered = true;
    });
    await settled();
    expect(entered).toBe(false);
    letGo();
    await entering;
    expect(entered).toBe(true);
  });

  it('it waits for the calls that are decided already, each of which leaves once', async () => {
    const turnover = new PolicyTurnover(new ManualClock());
    const leaveFirst = await turnover.enter();
    const leaveSecond = await turnover.enter();
    let held = false;
    const holding = turnover.hold().then(() => {
      held = true;
    });
    leaveFirst();
    leaveFirst();
    await settled();
    expect(held).toBe(false);
    leaveSecond();
    await holding;
    expect(held).toBe(true);
  });

  it('it does not wait for ever', async () => {
    const clock = new ManualClock();
    const turnover = new PolicyTurnover(clock);
    const leave = await turnover.enter();
    const holding = turnover.hold();
    await settled();
    clock.advance(1_000);
    (await holding)();
    leave();
    (await turnover.enter())();
  });

  it('a third waits for the second', async () => {
    const turnover = new PolicyTurnover(new ManualClock());
    const letGo = await turnover.hold();
    let held = false;
    const holding = turnover.hold().then((next) => {
      held = true;
      return next;
    });
    await settled();
    expect(held).toBe(false);
    letGo();
    (await holding)();
    (await turnover.enter())();
  });
});
