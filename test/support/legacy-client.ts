// A client of the revisions up to 2025-11-25 on a real enforcement point, which can be asked: what it hears is kept in order, and it answers
// when the test says so.

import { EraSession } from '../../adapters/downstream/era-session.ts';
import type { Entry } from '../../domain/entry.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { ViewName } from '../../proxy/client-port.ts';
import type { ToolAnswer } from '../../proxy/tool-server.ts';
import { type HeardCall, PRINCIPAL, settled, World, type WorldOptions } from './gate-world.ts';

export const EVERYTHING: JsonObject = { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} };

export interface Spoken {
  /** Everything that came back within the request, in order. */
  readonly heard: JsonObject[];
  readonly done: Promise<void>;
}

export class LegacyClient {
  readonly world: World;
  readonly session: EraSession;
  /** What was said to it that belongs to no request. */
  readonly notified: JsonObject[] = [];

  constructor(world: World, principal = PRINCIPAL, view: ViewName = { kind: 'server', server: 'fs' }) {
    this.world = world;
    const hints = { missingPolicy: 'edit the file' };
    this.session = new EraSession(world.enforcement, { principal, view, hints, version: '0.0.0' });
    this.session.onNotification((text) => this.notified.push(JSON.parse(text) as JsonObject));
  }

  /** A client with these capabilities; its server answers when the test says so. */
  static async open(capabilities: JsonObject = EVERYTHING, options: WorldOptions = {}): Promise<LegacyClient> {
    const client = new LegacyClient(await World.open(options));
    client.world.server.respond = () => undefined;
    await client.initialize(capabilities);
    return client;
  }

  async initialize(capabilities: JsonObject = EVERYTHING): Promise<void> {
    const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'test', version: '1' } };
    await this.say({ id: 'init', method: 'initialize', params }).done;
  }

  say(message: JsonObject): Spoken {
    const heard: JsonObject[] = [];
    const bytes = new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', ...message }));
    const done = this.session.receive(bytes, (text) => heard.push(JSON.parse(text) as JsonObject));
    return { heard, done };
  }

  /** Says something and waits for what is said to it. */
  async ask(message: JsonObject): Promise<JsonObject> {
    const { heard, done } = this.say(message);
    await done;
    return heard.at(-1) ?? {};
  }

  /** Calls the tool and waits until the server has the call. */
  async call(id: string | number = 'call', params: JsonObject = {}): Promise<Spoken> {
    const before = this.world.server.heard.length;
    const spoken = this.say({ id, method: 'tools/call', params: { name: 'write_file', arguments: {}, ...params } });
    await until(() => this.world.server.heard.length > before);
    return spoken;
  }

  /** The latest call that the server has. */
  get atServer(): HeardCall {
    return this.world.server.heard.at(-1) as HeardCall;
  }

  cancel(requestId: string | number): Promise<void> {
    return this.say({ method: 'notifications/cancelled', params: { requestId } }).done;
  }

  denials(): readonly Entry[] {
    return this.world.entries().filter(({ type }) => type === 'call.denial');
  }

  /** Entries of executions with this method. */
  entriesAbout(method: string): readonly Entry[] {
    const calls = this.world.entries().filter(({ events }) => {
      const [first] = (events ?? []) as { type: string; method?: string }[];
      return first?.type === 'call.requested' && first.method === method;
    });
    return this.world.entries().filter(({ call }) => calls.some((other) => other.call === call));
  }
}

/** Requests of ours among what a client heard. */
export function questionsIn({ heard }: Spoken): readonly (JsonObject & { readonly id: number })[] {
  return heard.filter((message) => message.method !== undefined && message.id !== undefined) as never;
}

/** Waits for something that waits for nothing but its turn. */
export async function until(happened: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200 && !happened(); turn++) await settled();
  if (!happened()) throw new Error('it does not happen');
}

export function needsInput(inputRequests: JsonObject | undefined, requestState?: string): ToolAnswer {
  const result: JsonObject = {
    ...(inputRequests === undefined ? {} : { inputRequests }),
    ...(requestState === undefined ? {} : { requestState }),
  };
  return { kind: 'result', type: 'input_required', result, bytes: 1 };
}
