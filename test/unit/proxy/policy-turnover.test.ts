import { describe, expect, it } from 'vitest';
import type { Authorization } from '../../../control-plane/authorization.ts';
import type { Digest } from '../../../domain/digest.ts';
import { PolicyTurnover } from '../../../proxy/policy-turnover.ts';
import { proves } from '../../guarantees.ts';
import { commitmentOf } from '../../support/commitments.ts';
import { POLICY, resultOf, settled, World } from '../../support/gate-world.ts';
import { ManualClock } from '../../support/ledger.ts';
import { until } from '../../support/legacy-client.ts';

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

describe('a call on its way while one policy takes over from another', () => {
  const NEXT = commitmentOf('the next policy');

  /** A gate at which each dispatch is compared with the policy that decided it. */
  async function gate() {
    let turnover: PolicyTurnover | undefined;
    const world = await World.open({
      turnover: (clock) => {
        turnover = new PolicyTurnover(clock);
        return turnover;
      },
    });
    const decidedUnder: (Digest | undefined)[] = [];
    const heardUnder: (Digest | undefined)[] = [];
    world.server.onDispatch = () => heardUnder.push(world.policy);
    const takeOver = async (): Promise<() => void> => {
      const letGo = (await turnover?.hold()) as () => void;
      world.policy = NEXT;
      world.governance.advanceEpoch();
      return letGo;
    };
    return { world, decidedUnder, heardUnder, takeOver, turnover: turnover as PolicyTurnover };
  }

  proves(
    'G2',
    'cancelled while it waits: nobody decides about it, and the next takeover does not wait for it',
    async () => {
      const { world, takeOver, turnover } = await gate();
      let asked = 0;
      world.authority.decide = async (request) => {
        asked += 1;
        return world.allow(request);
      };
      const letGo = await takeOver();
      const call = world.start(world.capture());
      await settled();
      call.stop({ type: 'call.cancelled', by: 'client' });
      expect(await call.end).toMatchObject({ kind: 'denied', code: 'CANCELLED', recorded: true });
      letGo();
      await settled();
      expect(asked).toBe(0);
      (await turnover.hold())();
      expect(world.defects).toEqual([]);
    },
  );

  it('denied at the door, it is not waited for any more', async () => {
    const { world, turnover } = await gate();
    world.authority.decide = async (request) => ({ ...world.allow(request), permit: 'a.b.c' }) as Authorization;
    expect(await world.run()).toMatchObject({ kind: 'denied', code: 'PERMIT_MALFORMED' });
    (await turnover.hold())();
  });

  proves('G4', 'its time runs while it waits', async () => {
    const { world, takeOver } = await gate();
    await takeOver();
    const call = world.start(world.capture());
    await settled();
    world.clock.advance(10_000);
    expect(await call.end).toMatchObject({ kind: 'denied', code: 'DEADLINE_EXCEEDED', recorded: true });
  });

  proves(
    'G2',
    'decided under the old one and too slow for it: it meets the new one at the door and is denied',
    async () => {
      const { world, takeOver } = await gate();
      let decide: () => void = () => {};
      const slowly = new Promise<void>((resolve) => {
        decide = resolve;
      });
      world.authority.decide = async (request) => {
        await slowly;
        return world.allow(request);
      };
      const call = world.start(world.capture());
      await settled();
      const taking = takeOver();
      await settled();
      world.clock.advance(1_000);
      const letGo = await taking;
      decide();
      expect(await call.end).toMatchObject({ kind: 'denied', code: 'GOV_EPOCH_MISMATCH', executed: 'no' });
      letGo();
      expect(world.server.heard).toEqual([]);
    },
  );

  for (let turns = 0; turns < 12; turns += 1) {
    proves(
      'G2',
      `begun ${turns} turns before: the policy that decided it is the one in force when the tool hears of it`,
      async () => {
        const { world, decidedUnder, heardUnder, takeOver } = await gate();
        world.authority.decide = async (request) => {
          decidedUnder.push(world.policy);
          const permit = { ...world.allow(request), policy: world.policy ?? POLICY };
          return world.policy === POLICY ? permit : { decision: 'deny', code: 'POLICY_NO_PERMIT', by: [] };
        };
        world.server.respond = () => resultOf('done');
        const call = world.start(world.capture());
        for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
        const letGo = await takeOver();
        letGo();
        const end = await call.end;
        await until(() => decidedUnder.length === 1);
        expect(heardUnder).toEqual(end.kind === 'result' ? decidedUnder : []);
        expect(end.kind === 'result').toBe(decidedUnder[0] === POLICY);
        expect(world.defects).toEqual([]);
      },
    );
  }
});
