// The door for other gates, on the listener that clients use: what gets in, and what becomes of whoever does not prove to be one of them.

import { request } from 'node:http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { type HttpFront, listenHttp } from '../../adapters/downstream/http/http-front.ts';
import { PEER_SUBPROTOCOL } from '../../adapters/peers/limits.ts';
import { WsDialler } from '../../adapters/peers/ws-dialler.ts';
import { WsPeerFront } from '../../adapters/peers/ws-peer-front.ts';
import type { ClientSessions } from '../../proxy/client-port.ts';
import type { PeerChannel } from '../../proxy/peer-session.ts';
import { PRINCIPAL } from '../support/gate-world.ts';

/** What others do takes a moment. */
const until = (happened: () => boolean) => vi.waitFor(() => expect(happened()).toBe(true), 5_000);
const NO_CLIENTS = {} as ClientSessions;

class Door {
  readonly heard: string[] = [];
  readonly channels: PeerChannel[] = [];
  gone = 0;
  areProven = true;
  front: HttpFront | undefined;
  peers: WsPeerFront | undefined;

  async open(connectionsMax = 4, withPeers = true): Promise<this> {
    this.peers = new WsPeerFront(
      (channel) => {
        this.channels.push(channel);
        return {
          isProven: this.areProven,
          receive: (text) => this.heard.push(text),
          gone: () => {
            this.gone += 1;
          },
        };
      },
      { connectionsMax, messageBytesMax: 1_000, waitingBytesMax: 100_000 },
    );
    const started = await listenHttp({
      host: '127.0.0.1',
      port: 0,
      access: { kind: 'local', principal: PRINCIPAL },
      sessions: NO_CLIENTS,
      ...(withPeers ? { peers: this.peers } : {}),
    });
    if (!started.ok) throw new Error(started.problem);
    this.front = started.front;
    opened.push(this);
    return this;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.front?.port}/peer`;
  }

  async close(): Promise<void> {
    this.peers?.close();
    await this.front?.close();
  }

  /** The status with which somebody is turned away; 101 where not. */
  async status(headers: Record<string, string>, protocol = PEER_SUBPROTOCOL): Promise<number> {
    const socket = new WebSocket(this.url, protocol, { headers });
    return new Promise((resolve) => {
      socket.on('error', () => undefined);
      socket.on('unexpected-response', (_, response) => resolve(response.statusCode ?? 0));
      socket.on('open', () => resolve(101));
    });
  }

  /** A connection that is open, and the code with which it ends. */
  async connect(): Promise<{ socket: WebSocket; ended: Promise<number> }> {
    const socket = new WebSocket(this.url, PEER_SUBPROTOCOL);
    const ended = new Promise<number>((resolve) => socket.on('close', resolve));
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.on('open', resolve));
    return { socket, ended };
  }
}

const opened: Door[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((door) => door.close()));
});

describe('the door for other gates', () => {
  it('is not there where no gate is trusted to dial', async () => {
    const door = await new Door().open(4, false);
    expect(await door.status({})).toBe(404);
  });

  it.each<[string, number, Record<string, string>, string | undefined]>([
    ['a browser', 403, { origin: 'http://evil.example' }, undefined],
    ['a page of our own', 403, { origin: 'OWN' }, undefined],
    ['whoever asks for another host', 403, { host: 'evil.example' }, undefined],
    ['a client', 400, {}, 'mcp'],
  ])('turns %s away', async (_, status, headers, protocol) => {
    const door = await new Door().open();
    const own = headers.origin === 'OWN' ? { origin: `http://127.0.0.1:${door.front?.port}` } : headers;
    expect(await door.status(own, protocol)).toBe(status);
    expect(door.channels).toEqual([]);
  });

  it('takes no ordinary request', async () => {
    const door = await new Door().open();
    const status = await new Promise((resolve) => {
      request(door.url.replace('ws:', 'http:'), (response) => resolve(response.resume().statusCode)).end();
    });
    expect(status).toBe(404);
  });

  it('has room for so many connections and no more', async () => {
    const door = await new Door().open(1);
    const { socket, ended } = await door.connect();
    expect(await door.status({})).toBe(503);
    socket.terminate();
    await ended;
    await until(() => door.gone === 1);
    expect(await door.status({})).toBe(101);
  });

  it('lets whoever has proved nothing make room', async () => {
    const door = await new Door().open(1);
    door.areProven = false;
    const { ended } = await door.connect();
    expect(await door.status({})).toBe(101);
    expect(await ended).toBe(1006);
  });

  it('hands texts on, and ends a connection with bytes, or with a text that is too long', async () => {
    const door = await new Door().open();
    const one = await door.connect();
    one.socket.send('hello');
    await until(() => door.heard.length === 1);
    one.socket.send(Buffer.from('bytes'));
    expect(await one.ended).toBe(1003);
    const two = await door.connect();
    two.socket.send('x'.repeat(1_001));
    expect(await two.ended).toBe(1009);
    await until(() => door.gone === 2);
    expect(door.heard).toEqual(['hello']);
  });

  it('cuts off who does not read', async () => {
    const door = await new Door().open();
    const { socket, ended } = await door.connect();
    socket.pause();
    await until(() => door.channels.length === 1);
    for (let n = 0; n < 20_000 && door.gone === 0; n++) door.channels[0]?.send('x'.repeat(900));
    await until(() => door.gone === 1);
    socket.resume();
    await ended;
  });
});

describe('who dials', () => {
  it('dials again until somebody is there, says once that nobody is, and stops when told to', async () => {
    const failures: string[] = [];
    const channels: PeerChannel[] = [];
    const door = await new Door().open();
    const { url } = door;
    await door.close();
    const dialler = new WsDialler({
      url,
      connect: (channel) => {
        channels.push(channel);
        return { isProven: true, receive: () => {}, gone: () => {} };
      },
      onFailed: (reason) => failures.push(reason),
      limits: { againAfterMs: 10, againAfterMsMax: 20 },
    });
    await until(() => failures.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(failures).toHaveLength(1);
    dialler.close();
    const again = await new Door().open();
    const second = new WsDialler({
      url: again.url,
      connect: (channel) => {
        channels.push(channel);
        return { isProven: true, receive: () => {}, gone: () => {} };
      },
      onFailed: () => {},
      limits: { againAfterMs: 10, againAfterMsMax: 20 },
    });
    await until(() => channels.length === 1);
    channels[0]?.close();
    await until(() => channels.length === 2);
    second.close();
    await until(() => again.gone === 2);
  });
});
