// Agents that are processes of ours: each has a conversation with the gate over the connection it was started with, for as long as it lives.

import type { Duplex } from 'node:stream';
import { type StdioFront, serveStdio } from '../adapters/downstream/stdio.ts';
import { processPrincipal } from '../adapters/identity/process.ts';
import type { Adopt } from '../adapters/upstream/stdio/process-pipe.ts';
import type { Manifest } from '../control-plane/policy/manifest.ts';
import type { ClientSessions } from '../proxy/client-port.ts';
import { HTTP_STREAM_BUFFER_BYTES_MAX } from '../proxy/limits.ts';
import type { OwnProcess } from '../proxy/tool-server.ts';

/** What a process that ended still runs is stopped, not waited for: nobody is left to hear of it. */
const DRAIN_MS = 0;

/** As for an event stream: what is said unasked must not fill the memory. */
const OUTPUT_BYTES_MAX = HTTP_STREAM_BUFFER_BYTES_MAX;

export class ProcessAgents {
  readonly #manifest: Manifest | undefined;
  readonly #sessions: Pick<ClientSessions, 'open'>;
  readonly #fronts = new Set<StdioFront>();
  #closed = false;

  constructor(manifest: Manifest | undefined, sessions: Pick<ClientSessions, 'open'>) {
    this.#manifest = manifest;
    this.#sessions = sessions;
  }

  /** Takes on the processes of a server that is such an agent; undefined for every other server. */
  of(server: string): Adopt | undefined {
    const name = this.#manifest?.servers[server]?.agent;
    const agent = name === undefined ? undefined : this.#manifest?.agents[name];
    if (name === undefined || agent?.auth !== 'process') return undefined;
    const { roles, root } = agent;
    return (connection, key) => this.#adopt({ agent: name, roles, root }, connection, key);
  }

  /** Ends every conversation: what was called in them is stopped. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#fronts].map((front) => front.close()));
  }

  #adopt(agent: Parameters<typeof processPrincipal>[0], connection: Duplex, key: string): OwnProcess {
    const principal = processPrincipal(agent, key);
    const own: OwnProcess = { key, connection: principal.connection };
    const session = this.#closed ? undefined : this.#sessions.open({ principal }, { kind: 'all' });
    if (session === undefined || 'code' in session) {
      connection.destroy();
      return own;
    }
    const front = serveStdio({
      session,
      input: connection,
      output: connection,
      drainMs: DRAIN_MS,
      outputBytesMax: OUTPUT_BYTES_MAX,
    });
    this.#fronts.add(front);
    void front.ended.then(() => {
      this.#fronts.delete(front);
      connection.destroy();
    });
    return own;
  }
}
