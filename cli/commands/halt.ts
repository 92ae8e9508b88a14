// portcullis halt and portcullis resume: nothing passes a gate, whatever the rules say, until its operator lifts that. It outlives the gate.

import { randomBytes } from '../../adapters/crypto/node-crypto.ts';
import { ulid } from '../../domain/ids.ts';
import { Governance } from '../../proxy/governance.ts';
import { type DurableHalt, openHalt } from '../halt.ts';
import { type Operation, operate } from '../operated-gates.ts';
import type { Output } from '../output.ts';
import { systemClock } from '../system-clock.ts';

export interface HaltOptions {
  readonly name?: string;
  readonly reason?: string;
}

export function halt({ name, reason = 'by its operator' }: HaltOptions, out: Output): Promise<number> {
  return operate(
    name,
    {
      request: { op: 'halt', reason },
      atRest: atRest(out, (halted) => halted.halt(reason)),
      told: ({ stopped }, running) =>
        running ? `halted  ${String(stopped)} running call(s) stopped` : 'halted  not running',
    },
    out,
  );
}

export function resume({ name }: HaltOptions, out: Output): Promise<number> {
  return operate(
    name,
    {
      request: { op: 'resume' },
      atRest: atRest(out, (halted) => halted.resume()),
      told: (_, running) => (running ? 'resumed' : 'resumed  not running'),
    },
    out,
  );
}

function atRest(out: Output, change: (halted: DurableHalt) => Promise<void>): Operation['atRest'] {
  return async ({ folder, keys, ledger }) => {
    const governance = new Governance(ulid(systemClock.now(), randomBytes(10)), []);
    const note = (text: string): void => out.note(text);
    await change(
      await openHalt({
        folder,
        secret: keys.vault,
        governance,
        recorder: ledger,
        clock: systemClock,
        note: () => {},
      }).catch((error: unknown) => {
        note('what was kept of an earlier halt is refused');
        throw error;
      }),
    );
    return { stopped: 0 };
  };
}
