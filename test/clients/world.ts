// One client of a user: its file as he wrote it, and sessions in which its model wants one call each. Several may be those of one user.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Machine } from '../../adapters/clients/client-paths.ts';
import { type Disk, foundFiles } from '../../adapters/clients/found-files.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import type { Ended, RunningCommand } from '../support/cli.ts';
import type { InstalledClient } from './installed.ts';
import { script } from './model/turn.ts';
import type { ClientFile, RealClient, Session } from './real-client.ts';
import type { UserHome } from './user-home.ts';

const SESSION_MS = 120_000;
const INTERRUPTS = 3;
const INTERRUPT_MS = 2_000;

/** A session, and what tells its conversation from others that are held at the same time. */
export interface Prompted {
  readonly running: RunningCommand;
  readonly script: string;
  /** What the model had heard before. */
  readonly since: number;
}

export class ClientWorld {
  readonly user: UserHome;
  readonly client: RealClient;
  readonly installed: InstalledClient;
  readonly file: string;
  /** The client's file as its user wrote it. */
  readonly text: string;

  private constructor(user: UserHome, client: RealClient, installed: InstalledClient, own: ClientFile) {
    this.user = user;
    this.client = client;
    this.installed = installed;
    this.file = own.file;
    this.text = own.text.replaceAll('MODEL/', `${user.address}/`);
  }

  static async open(
    user: UserHome,
    client: RealClient,
    installed: InstalledClient,
    own: ClientFile = client.configuration(user, user.counter),
  ): Promise<ClientWorld> {
    Object.assign(user.folders, client.folders?.(user));
    const world = new ClientWorld(user, client, installed, own);
    mkdirSync(dirname(world.file), { recursive: true });
    writeFileSync(world.file, world.text);
    const login = client.login?.(user.address);
    if (login !== undefined) await user.bounded(user.start(installed.program, login));
    return world;
  }

  bytes(): string {
    return readFileSync(this.file, 'utf8');
  }

  /** The entries of servers that a text of a file has. */
  #serversIn(text: string, file: string): Json[] {
    const { user } = this;
    const machine: Machine = { platform: 'linux', home: user.home, env: user.env, cwd: user.project };
    const disk: Disk = {
      read: (path) => (path === file ? { bytes: Buffer.from(text), real: file } : undefined),
      list: (folder) => (folder === dirname(file) ? [basename(file)] : []),
      exists: (path) => path === file,
    };
    return foundFiles(machine, disk).files.flatMap(({ servers }) => servers.map(({ raw }) => raw));
  }

  /** A session of the client in which its model wants one call. */
  start(tool: string, args: JsonObject, more: Partial<Session> = {}): Prompted {
    const { user, client, installed } = this;
    const prompt = script(tool, args);
    const session = { home: user.home, project: user.project, prompt, model: user.address, ...more };
    const { args: line, env } = client.session(session);
    const since = user.model.heard.length;
    return { running: user.start(installed.program, line, env), script: prompt, since };
  }

  /** What the model was told of the call, and what the user saw. */
  async call(tool: string, args: JsonObject, more: Partial<Session> = {}): Promise<{ told: string; ended: Ended }> {
    const session = this.start(tool, args, more);
    const ended = await this.settles(session);
    return { told: this.told(session), ended };
  }

  /** The last result of a tool that the model was shown in a session. */
  told({ script, since }: Prompted): string {
    const own = this.user.model.heard.slice(since).filter(({ said }) => said.includes(script));
    return own.findLast(({ results }) => results.length > 0)?.results.at(-1) ?? '';
  }

  /** Names of the tools that the model could have called so far. */
  offered(): string[] {
    const tools = this.user.model.heard.flatMap(({ tools }) => tools);
    return [...new Set(tools.map(({ namespace = '', name }) => `${namespace}${name}`))];
  }

  /** Ctrl-C, as often as it takes. */
  async interrupt({ running }: Prompted): Promise<Ended> {
    for (let times = 0; times < INTERRUPTS && !running.over; times++) {
      running.signalGroup('SIGINT');
      await Promise.race([running.ended, new Promise((resolve) => setTimeout(resolve, INTERRUPT_MS))]);
    }
    return this.user.bounded(running);
  }

  settles({ running }: Prompted): Promise<Ended> {
    return this.user.bounded(running, SESSION_MS);
  }

  /** The entries in it are those that its user wrote: clients rewrite the rest. */
  isAsWritten({ file, text }: ClientFile = this): boolean {
    const entriesOf = (text: string): string => canonicalJson(this.#serversIn(text, file));
    return entriesOf(readFileSync(file, 'utf8')) === entriesOf(text);
  }
}
