// The only way out of a sandbox: a proxy of HTTP on a socket that lies in the sandbox and nowhere else. It takes CONNECT and plain requests, looks each
// host up in the server's allow-list, connects to the very address it checked, and has each connection recorded before it is made. What passes
// through a tunnel it does not see.

import { lookup } from 'node:dns/promises';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type EgressEntry, type EgressHost, parseEgressTarget } from '../../control-plane/policy/egress.ts';
import { visibleText } from '../../domain/visible-text.ts';
import { destination } from './destination.ts';
import { EgressJournal } from './egress-journal.ts';
import { EGRESS_LIMITS, type EgressLimits } from './egress-limits.ts';
import { parseHttpTarget, passedOn } from './http-words.ts';
import { OpenEgress } from './open-egress.ts';
import type { EgressOpening, EgressRecorder, EgressRefusalReason, ResolveName } from './ports.ts';

export interface EgressOptions {
  readonly entries: readonly EgressEntry[];
  readonly recorder: EgressRecorder;
  /** Names connections; each once. */
  readonly connectionId: () => string;
  /** Whether the server may go out at this moment; asked again for as long as it has something open. */
  readonly mayGoOut?: () => boolean;
  readonly resolve?: ResolveName;
  readonly limits?: Partial<EgressLimits>;
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

const STATUS: Readonly<Record<EgressRefusalReason, number>> = {
  malformed: 400,
  method: 405,
  not_allowed: 403,
  unresolved: 502,
  private_address: 403,
  set_aside: 403,
  too_many: 429,
};

type Target = EgressHost & { readonly port: number };
type Way = EgressOpening['way'];

export class EgressProxy {
  readonly #options: EgressOptions;
  readonly #limits: EgressLimits;
  readonly #journal: EgressJournal;
  readonly #server: Server;
  readonly #open = new Set<OpenEgress>();
  #rechecking: NodeJS.Timeout | undefined;
  /** Asked for and not open yet. */
  #asking = 0;
  #closed = false;

  constructor(options: EgressOptions) {
    this.#options = options;
    this.#limits = { ...EGRESS_LIMITS, ...options.limits };
    this.#journal = new EgressJournal(options.recorder, this.#limits, () => performance.now());
    const { headerBytesMax, headerMs, openMax } = this.#limits;
    this.#server = createServer(
      { maxHeaderSize: headerBytesMax, headersTimeout: headerMs, requestTimeout: 0, keepAliveTimeout: 1 },
      (incoming, response) => void this.#request(incoming, response),
    );
    // A few more than may be open, so that the next one is told why and not only dropped.
    this.#server.maxConnections = openMax + 16;
    this.#server.on('connect', (incoming: IncomingMessage, inner: Duplex, head: Buffer) => {
      inner.on('error', () => inner.destroy());
      void this.#tunnel(incoming, inner, head);
    });
    this.#server.on('clientError', (_error, inner) => {
      this.#journal.refused({ reason: 'malformed', host: null, port: null });
      inner.destroy();
    });
  }

  /** Listens on a socket of the file system. Rejects where it cannot. */
  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  /** Ends what is open, and resolves when all of it is recorded. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#server.close();
    this.#server.closeAllConnections();
    this.#cut();
    await this.#journal.close();
  }

  /** What was allowed when it was made is ended when it is not any more. */
  #recheck(): void {
    if (this.#options.mayGoOut?.() === false) this.#cut();
  }

  #cut(): void {
    for (const open of [...this.#open]) open.end('stopped');
    this.#stopRechecking();
  }

  #stopRechecking(): void {
    clearInterval(this.#rechecking);
    this.#rechecking = undefined;
  }

  async #tunnel(incoming: IncomingMessage, inner: Duplex, head: Buffer): Promise<void> {
    const asked = incoming.url ?? '';
    const answer = (reason: EgressRefusalReason) => {
      inner.end(
        `HTTP/1.1 ${STATUS[reason]} Refused\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n${told(reason)}\n`,
      );
      setTimeout(() => inner.destroy(), 1_000).unref();
    };
    const target = parseEgressTarget(asked);
    const outer = await this.#outer('connect', target, asked, answer, inner);
    if (outer === undefined) return;
    inner.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    if (head.length > 0) outer.socket.write(head);
    outer.relay(inner);
  }

  async #request(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = incoming.url ?? '';
    const answer = (reason: EgressRefusalReason) => {
      response.writeHead(STATUS[reason], { 'content-type': 'text/plain', connection: 'close' });
      response.end(`${told(reason)}\n`);
    };
    incoming.on('error', () => response.destroy());
    const parsed = parseHttpTarget(asked);
    if (parsed !== undefined && !METHODS.has(incoming.method ?? '')) {
      this.#refuse('method', parsed.target, asked, answer);
      return;
    }
    const outer = await this.#outer('http', parsed?.target, asked, answer, response);
    if (outer === undefined || parsed === undefined) return;
    const sent = request({
      method: incoming.method ?? 'GET',
      path: parsed.path,
      headers: { ...passedOn(incoming.headers), host: parsed.authority, connection: 'close' },
      // Without an agent, which would connect by itself.
      createConnection: () => outer.socket,
    });
    sent.on('response', (answered) => {
      response.writeHead(answered.statusCode ?? 502, { ...passedOn(answered.headers), connection: 'close' });
      answered.pipe(response);
      answered.on('error', () => response.destroy());
    });
    sent.on('error', () => response.destroy());
    response.on('close', () => outer.end(response.writableFinished ? 'ended' : 'lost'));
    incoming.pipe(sent);
  }

  /** A connection to where the server wants to go, recorded; undefined where it was refused, with the server told. */
  async #outer(
    way: Way,
    target: Target | undefined,
    asked: string,
    answer: (reason: EgressRefusalReason) => void,
    inner: Duplex | ServerResponse,
  ): Promise<OpenEgress | undefined> {
    const refuse = (reason: EgressRefusalReason): undefined => this.#refuse(reason, target, asked, answer);
    if (target === undefined) return refuse('malformed');
    if (this.#options.mayGoOut?.() === false) return refuse('set_aside');
    if (this.#open.size + this.#asking >= this.#limits.openMax) return refuse('too_many');
    this.#asking += 1;
    try {
      const { entries, resolve = resolveName } = this.#options;
      const found = await destination(entries, target, resolve, this.#limits.resolveMs);
      if (!found.ok) return refuse(found.reason);
      for (const address of found.addresses) {
        // Asked again for each: it takes a while to find that nobody answers.
        if (this.#closed || this.#options.mayGoOut?.() === false) return refuse('set_aside');
        if (!this.#journal.takesConnection()) return refuse('too_many');
        const connection = this.#options.connectionId();
        const since = performance.now();
        await this.#journal.opened({ connection, host: target.host, port: target.port, address, way });
        const socket = await this.#connected(address, target.port);
        if (socket === undefined) {
          const ms = Math.round(performance.now() - since);
          this.#journal.closed({ connection, end: 'unreachable', sent: 0, received: 0, ms });
          continue;
        }
        const open: OpenEgress = new OpenEgress(connection, socket, this.#limits, (closing) => {
          this.#open.delete(open);
          if (this.#open.size === 0) this.#stopRechecking();
          this.#journal.closed(closing);
        });
        this.#open.add(open);
        this.#rechecking ??= setInterval(() => this.#recheck(), this.#limits.recheckMs).unref();
        if (inner.destroyed || this.#closed) open.end('stopped');
        return open.isOpen ? open : undefined;
      }
      answer('unresolved');
      return undefined;
    } catch {
      // It could not be recorded, so it is not made. Who records says so to the operator.
      inner.destroy();
      return undefined;
    } finally {
      this.#asking -= 1;
    }
  }

  #refuse(
    reason: EgressRefusalReason,
    target: Target | undefined,
    asked: string,
    answer: (reason: EgressRefusalReason) => void,
  ): undefined {
    this.#journal.refused({ reason, host: target?.host ?? visibleText(asked, 253), port: target?.port ?? null });
    answer(reason);
    return undefined;
  }

  #connected(address: string, port: number): Promise<Socket | undefined> {
    return new Promise((resolve) => {
      const socket = connect({ host: address, port, allowHalfOpen: true });
      const fail = () => {
        socket.destroy();
        resolve(undefined);
      };
      const timer = setTimeout(fail, this.#limits.connectMs);
      socket.once('close', () => clearTimeout(timer));
      socket.once('error', fail);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', fail);
        resolve(socket);
      });
    });
  }
}

/** What the server is told; which hosts there are is not repeated to it. */
function told(reason: EgressRefusalReason): string {
  return `refused by the gate that started this server: ${reason}`;
}

async function resolveName(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
