// A server that one conversation has to itself. It takes calls only while what it offers is what was pinned, all of which is compared whenever it has
// started and when it may have changed; one that offers something else is stopped and never asked again. One that ended is started again for the next call, as
// soon as its adapter allows that. It never holds a call.

import { type Denial, deny } from '../domain/denial.ts';
import type { Likeness } from './catalogue.ts';
import {
  type Asking,
  type Era,
  type Notice,
  OFFERS_CHANGED,
  type Question,
  type ServerDescription,
  type ToolServer,
} from './tool-server.ts';

export interface OwnServerPorts {
  /** How its tools and instructions compare with what was pinned. */
  readonly compare: (description: ServerDescription) => Likeness;
  /** How all that it says of itself does: it is asked for what it offers besides. Rejects where it cannot be asked. */
  readonly compareWhole: (server: ToolServer) => Promise<Likeness>;
  readonly onNotice: (notice: Notice) => void;
  readonly onQuestion: (question: Question) => Asking | undefined;
  /** It can take calls, for the first time or again. */
  readonly onReady: () => void;
  /** It ended by itself. */
  readonly onEnded?: () => void;
  readonly note: (text: string) => void;
}

export class OwnServer {
  readonly agent: string;
  readonly #server: ToolServer;
  readonly #ports: OwnServerPorts;
  /** What it said of itself that was compared. Whatever it says after that is compared anew before it counts. */
  #compared: ServerDescription | undefined;
  /** Since it started, all that it says was compared. */
  #isWhole = false;
  #refused: Denial | undefined;
  #starting: Promise<Denial | undefined> | undefined;
  #stopped = false;

  constructor(server: ToolServer, agent: string, ports: OwnServerPorts) {
    this.#server = server;
    this.agent = agent;
    this.#ports = ports;
    server.onNotice((notice) => {
      if (this.verified === undefined) return;
      if (OFFERS_CHANGED.has(notice.method)) void this.#lookAgain();
      ports.onNotice(notice);
    });
    server.onQuestion?.((question) => ports.onQuestion(question));
    server.onChange((change) => {
      if (change !== 'down') return this.#changed();
      this.#isWhole = false;
      if (!this.#stopped && this.#refused === undefined) ports.onEnded?.();
    });
  }

  /** The server while it is there and known to be the pinned one. */
  get verified(): ToolServer | undefined {
    const { description } = this.#server;
    const isKnown = description !== undefined && description === this.#compared;
    return isKnown && this.#isWhole && this.#refused === undefined && !this.#stopped ? this.#server : undefined;
  }

  /** Resolves when it can take a call of a client of this era, or with the reason why it cannot. Never rejects. */
  async ready(era: Era): Promise<Denial | undefined> {
    if (this.verified === undefined) {
      this.#starting ??= this.#start().finally(() => {
        this.#starting = undefined;
      });
      const refused = await this.#starting;
      if (refused !== undefined) return refused;
    }
    await this.#server.meet?.(era);
    return this.#refused;
  }

  /** For how long what it said holds, by its own word. */
  get freshForMs(): number | undefined {
    return this.#server.freshForMs;
  }

  /** Asks it anew what it offers, where it runs. Never rejects. */
  async relist(): Promise<void> {
    if (this.verified === undefined) return;
    await this.#server.relist?.();
    await this.#lookAgain();
  }

  /** Resolves when nothing of it is left. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#server.stop();
  }

  async #start(): Promise<Denial | undefined> {
    if (this.#refused !== undefined) return this.#refused;
    if (this.#stopped) return deny('SERVER_UNAVAILABLE', 'the conversation has ended');
    let likeness: Likeness;
    try {
      await this.#server.start();
      likeness = await this.#ports.compareWhole(this.#server);
    } catch (fault) {
      return deny('SERVER_UNAVAILABLE', fault instanceof Error ? fault.message : String(fault));
    }
    // Its tools may have changed while it was asked for the rest.
    const { description } = this.#server;
    if (description === undefined) return deny('SERVER_UNAVAILABLE', 'it ended when it had started');
    if (likeness === 'different' || this.#ports.compare(description) === 'different') return this.#refuse();
    this.#compared = description;
    this.#isWhole = true;
    if (this.#refused !== undefined) return this.#refused;
    if (this.verified === undefined) return deny('SERVER_UNAVAILABLE', 'it ended when it had started');
    this.#ports.onReady();
    return undefined;
  }

  /** It runs, and may offer something else by now. */
  #changed(): void {
    const { description } = this.#server;
    if (!this.#isWhole || description === undefined || description === this.#compared) return;
    if (this.#ports.compare(description) === 'different') {
      this.#refuse();
      return;
    }
    this.#compared = description;
    void this.#lookAgain();
  }

  /** One that cannot be asked now is asked the next time. */
  async #lookAgain(): Promise<void> {
    if (this.verified === undefined) return;
    const likeness = await this.#ports.compareWhole(this.#server).catch(() => 'same');
    if (likeness === 'different') this.#refuse();
  }

  #refuse(): Denial {
    if (this.#refused !== undefined) return this.#refused;
    const { name } = this.#server;
    this.#refused = deny('ENV_ATTESTATION', 'it is not what was approved');
    this.#ports.note(`server ${name} of a session of ${this.agent}: it is not what was approved; it is stopped`);
    void this.#server.stop();
    return this.#refused;
  }
}
