import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Denial } from '../../../domain/denial.ts';
import { CALLS_WAITING_PER_SERVER_MAX } from '../../../proxy/limits.ts';
import { ServerTurns, type Turn } from '../../../proxy/server-turns.ts';
import { settled } from '../../support/gate-world.ts';

const A = { name: 'a' };
const B = { name: 'b' };

/** Turns at one server, and the order in which they came. */
function turnsOf(max: number): { ask: (label: string, sender?: object) => Turn; came: string[]; refused: Denial[] } {
  const turns = new ServerTurns((server) => (server === 'fs' ? max : undefined));
  const came: string[] = [];
  const refused: Denial[] = [];
  const ask = (label: string, sender: object = A): Turn => {
    const turn = turns.of('fs', sender) as Turn;
    void turn.take().then((denial) => (denial === undefined ? came.push(label) : refused.push(denial)));
    return turn;
  };
  return { ask, came, refused };
}

describe('turns at a server', () => {
  it('are not refused to as many as may wait, and are to one more', async () => {
    const { ask, came, refused } = turnsOf(1);
    for (let n = 0; n <= CALLS_WAITING_PER_SERVER_MAX; n++) ask(`${n}`);
    await settled();
    expect([came, refused]).toEqual([['0'], []]);
    const late = ask('late');
    await settled();
    expect(refused).toEqual([{ code: 'OVERLOADED', detail: 'too many calls wait for fs' }]);
    late.leave();
    await settled();
    expect(came).toEqual(['0']);
  });

  it('come to nobody who left before, and are lost to nobody else', async () => {
    const { ask, came, refused } = turnsOf(1);
    const inside = ask('inside');
    const gone = ask('gone');
    ask('next');
    gone.leave();
    gone.leave();
    await settled();
    expect([came, refused.map(({ code }) => code)]).toEqual([['inside'], ['OVERLOADED']]);
    inside.leave();
    inside.leave();
    await settled();
    expect(came).toEqual(['inside', 'next']);
  });

  it('are not taken by a call that ended before it asked', async () => {
    const turns = new ServerTurns(() => 1);
    const early = turns.of('fs', A) as Turn;
    early.leave();
    expect(await early.take()).toMatchObject({ code: 'OVERLOADED' });
    expect(await turns.of('fs', A)?.take()).toBeUndefined();
  });

  it('do not exist where no number is named, and are each server its own', async () => {
    const turns = new ServerTurns((server) => (server === 'free' ? undefined : 1));
    expect(turns.of('free', A)).toBeUndefined();
    expect(await turns.of('one', A)?.take()).toBeUndefined();
    expect(await turns.of('other', A)?.take()).toBeUndefined();
  });

  it('go round among those who send, in the order in which each one sent', async () => {
    const { ask, came } = turnsOf(1);
    const queue = [ask('a0'), ask('a1'), ask('a2'), ask('a3'), ask('b1', B), ask('b2', B)];
    const byCame = ['a0', 'a1', 'b1', 'a2', 'b2', 'a3'];
    const order = [0, 1, 4, 2, 5, 3];
    for (const index of order) {
      await settled();
      queue[index]?.leave();
    }
    await settled();
    expect(came).toEqual(byCame);
  });

  it('whoever asks and leaves, and when: never more at once than the number, and nobody waits beside a free place', async () => {
    const steps = fc.array(fc.record({ leave: fc.boolean(), which: fc.nat(), sender: fc.nat(2) }), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3 }), steps, async (max, all) => {
        const turns = new ServerTurns(() => max);
        const senders = [A, B, {}];
        const calls: { turn: Turn; inside: boolean }[] = [];
        for (const { leave, which, sender } of all) {
          const [call] = leave && calls.length > 0 ? calls.splice(which % calls.length, 1) : [];
          if (call === undefined) {
            const asked = { turn: turns.of('fs', senders[sender] as object) as Turn, inside: false };
            calls.push(asked);
            void asked.turn.take().then((denial) => {
              asked.inside = denial === undefined;
            });
          } else call.turn.leave();
          await settled();
          expect(calls.filter(({ inside }) => inside)).toHaveLength(Math.min(max, calls.length));
        }
      }),
    );
  });

  it('are counted for each server that belongs to somebody alone', async () => {
    const turns = new ServerTurns(() => 1);
    const came: string[] = [];
    const ask = (label: string, scope?: object) =>
      void turns
        .of('fs', A, scope)
        ?.take()
        .then(() => came.push(label));
    ask('shared');
    ask('waits');
    ask('own', A);
    ask('waits too', A);
    ask('of another', B);
    await settled();
    expect(came).toEqual(['shared', 'own', 'of another']);
  });
});
