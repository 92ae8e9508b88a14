// A server that one conversation has to itself. It takes calls only while what it offers is what was pinned; one that offers something else is
// stopped and never asked again. One that ended is started again for the next call, as soon as its adapter allows that. It never holds a call.

import { type Denial, deny } from '../domain/denial.ts';
import type { Likeness } from './catalogue.ts';
import type { Asking, Era, Notice, Question, ServerDescription, ToolServer } from './tool-server.ts';

export interface OwnServerPorts {
  /** How what it offers compares with what was pinned. */
  readonly compare: (description: ServerDescription) => Likeness;
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
  #refused: Denial | undefined;
  #starting: Promise<Denial | undefined> | undefined;
  #stopped = false;

  constructor(server: ToolServer, agent: string, ports: OwnServerPorts) {
    this.#server = server;
    this.agent = agent;
    this.#ports = ports;
    server.onNotice((notice) => {
      if (this.verified !== undefined) ports.onNotice(notice);
    });
    server.onQuestion?.((question) => ports.onQuestion(question));
    server.onChange((change) => {
      if (change !== 'down') this.#compare();
      else if (!this.#stopped && this.#refused === undefined) ports.onEnded?.();
    });
  }

  /** The server while it is there and known to be the pinned one. */
  get verified(): ToolServer | undefined {
    const { description } = this.#server;
    const isKnown = description !== undefined && description === this.#compared;
    return isKnown && this.#refused === undefined && !this.#stopped ? this.#server : undefined;
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

  /** Resolves when nothing of it is left. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#server.stop();
  }

  async #start(): Promise<Denial | undefined> {
    if (this.#refused !== undefined) return this.#refused;
    if (this.#stopped) return deny('SERVER_UNAVAILABLE', 'the conversation has ended');
    try {
      await this.#server.start();
    } catch (fault) {
      return deny('SERVER_UNAVAILABLE', fault instanceof Error ? fault.message : String(fault));
    }
    this.#compare();
    if (this.#refused !== undefined) return this.#refused;
    if (this.verified === undefined) return deny('SERVER_UNAVAILABLE', 'it ended when it had started');
    this.#ports.onReady();
    return undefined;
  }

  /** It offers exactly what was pinned, when it starts and later. */
  #compare(): void {
    const { description, name } = this.#server;
    if (description === undefined || description === this.#compared || this.#refused !== undefined) return;
    if (this.#ports.compare(description) === 'same') {
      this.#compared = description;
      return;
    }
    this.#refused = deny('ENV_ATTESTATION', 'it is not what was approved');
    this.#ports.note(`server ${name} of a session of ${this.agent}: it is not what was approved; it is stopped`);
    void this.#server.stop();
  }
}
