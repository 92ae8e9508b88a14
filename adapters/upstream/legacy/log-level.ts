// How much a server logs. It has one level for everybody, so it is told the most verbose that a client asked for; each edge filters for its
// own. It is never told to say less again: somebody else may still listen.

import type { JsonObject } from '../../../domain/json.ts';
import { isLoggable, isLogLevel } from '../../../proxy/log-level.ts';

export class LogLevel {
  /** Tells the server; settles when it has answered, whatever it answers. */
  readonly #tell: (params: JsonObject) => Promise<unknown>;
  #told: string | undefined;
  #isTelling = false;

  constructor(tell: (params: JsonObject) => Promise<unknown>) {
    this.#tell = tell;
  }

  /** A client wants this level and above. One word to the server is under way at most; the next call says the rest. */
  wanted(level: string | undefined): void {
    if (!isLogLevel(level) || this.#isTelling) return;
    if (this.#told !== undefined && isLoggable(level, this.#told)) return;
    this.#told = level;
    this.#isTelling = true;
    // A server that refuses is not asked for the same again.
    const done = (): void => {
      this.#isTelling = false;
    };
    this.#tell({ level }).then(done, done);
  }
}
