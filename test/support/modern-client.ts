// A client of 2026-07-28 that writes its messages by hand, on the real enforcement point. Everything it hears is judged by the published schema.

import { EraSession } from '../../adapters/downstream/era-session.ts';
import { OpenRounds } from '../../adapters/downstream/modern/open-rounds.ts';
import type { Entry } from '../../domain/entry.ts';
import type { Json, JsonObject } from '../../domain/json.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Delivery, ViewName } from '../../proxy/client-port.ts';
import { PRINCIPAL, World, type WorldOptions } from './gate-world.ts';
import { faultOf } from './modern-schema.ts';

export const VERSION = '2026-07-28';
const KEY = 'io.modelcontextprotocol/';

export interface Heard {
  readonly message: JsonObject & {
    readonly result?: JsonObject;
    readonly error?: JsonObject;
    readonly params?: JsonObject;
  };
  readonly status: number | undefined;
}

export interface Exchange {
  readonly heard: Heard[];
  readonly done: Promise<void>;
  /** The answer, once it is there. */
  last(): Heard;
}

export function envelope(capabilities: JsonObject = {}, more: JsonObject = {}): JsonObject {
  return { [`${KEY}protocolVersion`]: VERSION, [`${KEY}clientCapabilities`]: capabilities, ...more };
}

export function request(
  id: string | number,
  method: string,
  params: JsonObject = {},
  capabilities: JsonObject = {},
  meta: JsonObject = {},
): JsonObject {
  return { jsonrpc: '2.0', id, method, params: { ...params, _meta: envelope(capabilities, meta) } };
}

export interface ModernClientOptions {
  readonly view?: ViewName;
  readonly principal?: Principal;
  readonly rounds?: OpenRounds;
}

export class ModernClient {
  readonly world: World;
  readonly session: EraSession;
  readonly rounds: OpenRounds;
  /** What the schema says against us. */
  readonly faults: string[] = [];

  constructor(world: World, { view, principal = PRINCIPAL, rounds }: ModernClientOptions = {}) {
    this.world = world;
    this.rounds = rounds ?? new OpenRounds(world.clock, world.crypto);
    this.session = new EraSession(world.enforcement, {
      principal,
      view: view ?? { kind: 'server', server: 'fs' },
      hints: { missingPolicy: 'edit the file' },
      version: '0.0.0',
      rounds: this.rounds,
    });
  }

  static async open(options: WorldOptions = {}): Promise<ModernClient> {
    return new ModernClient(await World.open(options));
  }

  begin(message: Json, delivery?: Delivery): Exchange {
    const heard: Heard[] = [];
    const { method } = message as { method?: string };
    const bytes = new TextEncoder().encode(JSON.stringify(message));
    const done = this.session.receive(
      bytes,
      (text, status) => {
        const said = JSON.parse(text) as Heard['message'];
        const fault = faultOf(said, method ?? '');
        if (fault !== undefined) this.faults.push(fault);
        heard.push({ message: said, status });
      },
      delivery,
    );
    const last = (): Heard => {
      const found = heard.at(-1);
      if (found === undefined) throw new Error('nothing was said');
      return found;
    };
    return { heard, done, last };
  }

  async say(message: Json, delivery?: Delivery): Promise<Heard> {
    const exchange = this.begin(message, delivery);
    await exchange.done;
    return exchange.last();
  }

  call(more: JsonObject = {}, capabilities: JsonObject = {}, id: string | number = 1): Promise<Heard> {
    return this.say(
      request(id, 'tools/call', { name: 'write_file', arguments: { path: '/w' }, ...more }, capabilities),
    );
  }

  denials(): string[] {
    return this.world.entries().flatMap((entry: Entry) => (entry.type === 'call.denial' ? [String(entry.code)] : []));
  }
}
