// Turns at a tool server for which the manifest names a concurrency: so many calls are with it at once, and the others wait here. Turns go
// round among those who send, and each sender's calls go in the order in which they came, so that a flood of one does not hold up the rest.
// A turn allows nothing. It comes before the authorization, which finds the world as it is then; deadlines and cancellations are the runner's.

import { type Denial, deny } from '../domain/denial.ts';
import { CALLS_WAITING_PER_SERVER_MAX } from './limits.ts';

/** The turn of one call. */
export interface Turn {
  /** Resolves when the turn has come, or with the reason why it never will. Asked for once; never rejects. */
  take(): Promise<Denial | undefined>;
  /** Nothing of the call is with the server any more, or ever will be: the next one may go. Said at any moment and any number of times. */
  leave(): void;
}

export class ServerTurns {
  readonly #concurrency: (server: string) => number | undefined;
  /** By whose server it is: everybody's, which is this, or one client's own. */
  readonly #lines = new WeakMap<object, Map<string, ServerLine>>();

  constructor(concurrency: (server: string) => number | undefined) {
    this.#concurrency = concurrency;
  }

  /**
   * The turn of a call of this server, or undefined where nobody waits. `sender` is compared by identity only, and so is `scope`: to whom alone
   * the server belongs, if it does.
   */
  of(server: string, sender: object, scope: object = this): Turn | undefined {
    const max = this.#concurrency(server);
    if (max === undefined) return undefined;
    const lines = this.#lines.get(scope) ?? new Map<string, ServerLine>();
    this.#lines.set(scope, lines);
    const line = lines.get(server) ?? new ServerLine(server, max);
    lines.set(server, line);
    return line.turn(sender);
  }
}

class ServerLine {
  readonly #server: string;
  readonly #max: number;
  #inside = 0;
  #waiting = 0;
  /** Who waits, by sender. The first sender is the one whose turn is next. */
  readonly #bySender = new Map<object, Set<() => void>>();

  constructor(server: string, max: number) {
    this.#server = server;
    this.#max = max;
  }

  turn(sender: object): Turn {
    let place: 'none' | 'waiting' | 'inside' | 'left' = 'none';
    let tell: (refused: Denial | undefined) => void = () => {};
    const enter = (): void => {
      place = 'inside';
      tell(undefined);
    };
    return {
      take: async () => {
        if (place !== 'none') return deny('OVERLOADED', 'the call ended before its turn');
        // Whoever leaves lets the next one in, so that where a place is free nobody waits.
        if (this.#inside < this.#max) {
          this.#inside += 1;
          place = 'inside';
          return undefined;
        }
        if (this.#waiting >= CALLS_WAITING_PER_SERVER_MAX) {
          place = 'left';
          return deny('OVERLOADED', `too many calls wait for ${this.#server}`);
        }
        place = 'waiting';
        this.#join(sender, enter);
        return new Promise((resolve) => {
          tell = resolve;
        });
      },
      leave: () => {
        const was = place;
        place = 'left';
        if (was === 'waiting') {
          this.#quit(sender, enter);
          tell(deny('OVERLOADED', 'the call ended before its turn'));
        } else if (was === 'inside') {
          this.#inside -= 1;
          this.#letNextIn();
        }
      },
    };
  }

  #join(sender: object, enter: () => void): void {
    const line = this.#bySender.get(sender);
    if (line === undefined) this.#bySender.set(sender, new Set([enter]));
    else line.add(enter);
    this.#waiting += 1;
  }

  #quit(sender: object, enter: () => void): void {
    const line = this.#bySender.get(sender);
    if (line?.delete(enter) !== true) return;
    this.#waiting -= 1;
    if (line.size === 0) this.#bySender.delete(sender);
  }

  #letNextIn(): void {
    for (const [sender, line] of this.#bySender) {
      for (const enter of line) {
        this.#quit(sender, enter);
        // Behind all other senders: their turns come before this one's second.
        if (this.#bySender.delete(sender)) this.#bySender.set(sender, line);
        this.#inside += 1;
        return enter();
      }
    }
  }
}
