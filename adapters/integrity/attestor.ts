// The environments of all servers of a gate that are processes: one look at each every few seconds, and at once where the system says that something
// changed. What the system says is only a reason to look: it loses events, and nothing is believed because none came.

import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Denial } from '../../domain/denial.ts';
import type { JsonObject } from '../../domain/json.ts';
import { AttestedServer, type AttestedServerPorts } from './attested-server.ts';

export interface AttestorPorts extends AttestedServerPorts {
  readonly everyMs?: number;
}

const EVERY_MS = 5_000;
/** Several changes at once are one reason to look. */
const SETTLES_MS = 200;
const WATCHED_FOLDERS_MAX = 32;

export class Attestor {
  readonly #ports: AttestorPorts;
  readonly #servers = new Map<string, AttestedServer>();
  readonly #watchers = new Map<string, FSWatcher[]>();
  readonly #timer: NodeJS.Timeout;
  #closed = false;

  constructor(ports: AttestorPorts) {
    this.#ports = {
      ...ports,
      onGood: (server, record) => {
        this.#watch(server);
        ports.onGood(server, record);
      },
    };
    this.#timer = setInterval(() => this.#lookAtAll(), ports.everyMs ?? EVERY_MS).unref();
  }

  /** The server of that name; the same one each time. */
  server(name: string, sandbox: JsonObject | null): AttestedServer {
    const known = this.#servers.get(name) ?? new AttestedServer(name, sandbox, this.#ports);
    this.#servers.set(name, known);
    return known;
  }

  get(name: string): AttestedServer | undefined {
    return this.#servers.get(name);
  }

  /** Why no call may go to a server because of its environment; undefined for one that is no process of ours. */
  problem(name: string): Denial | undefined {
    return this.#servers.get(name)?.problem();
  }

  /** Looks no more. The thread is closed by who opened it. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const server of this.#servers.values()) server.close();
    for (const name of this.#watchers.keys()) this.#unwatch(name);
  }

  #lookAtAll(): void {
    for (const server of this.#servers.values()) void server.check();
  }

  #watch(name: string): void {
    const server = this.#servers.get(name);
    this.#unwatch(name);
    if (this.#closed || server === undefined) return;
    const folders = new Set(server.watched.map(dirname));
    const timers: NodeJS.Timeout[] = [];
    const look = (): void => {
      if (timers.length > 0) return;
      const due = setTimeout(() => {
        timers.pop();
        void server.check();
      }, SETTLES_MS).unref();
      timers.push(due);
    };
    const watchers: FSWatcher[] = [];
    for (const folder of [...folders].slice(0, WATCHED_FOLDERS_MAX)) {
      try {
        watchers.push(watch(folder, { persistent: false }, look).on('error', () => undefined));
      } catch {
        // There are only so many, and some file systems have none: the next look comes in any case.
      }
    }
    this.#watchers.set(name, watchers);
  }

  #unwatch(name: string): void {
    for (const watcher of this.#watchers.get(name) ?? []) watcher.close();
    this.#watchers.delete(name);
  }
}
