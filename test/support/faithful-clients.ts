// Clients of both eras without a library, on each transport, for tests that compare what was sent with what came: one request at a time,
// everything that came between the request and its answer, and whatever was said unasked. Nothing is checked, renamed or left out.

import type { Json, JsonObject } from '../../domain/json.ts';
import type { Era } from '../../proxy/tool-server.ts';
import type { RunningCommand } from './cli.ts';
import { WebSocketClient } from './web-socket-client.ts';

export interface Heard {
  readonly result?: JsonObject;
  readonly error?: JsonObject;
  /** Before the answer, in order. */
  readonly notifications: readonly JsonObject[];
  /** What the client was asked on the way to the answer, in order, with the name that the question has in the newer era. */
  readonly questions: readonly JsonObject[];
  /** The answers that only asked, in the newer era. */
  readonly rounds: readonly JsonObject[];
}

export interface AskOptions {
  /** The result with which a question is answered. */
  readonly answer?: (question: JsonObject) => JsonObject;
  /** JSON text that is sent wherever the value "@spelled@" stands. */
  readonly spelling?: string;
}

/** How texts come and go. */
interface Wire {
  send(text: string, message: JsonObject): void;
  /** Opens the stream for what belongs to no request, where there is such a stream. */
  listen?(): Promise<void>;
  close(): Promise<void>;
}

type OpenWire = (hear: (message: JsonObject) => void) => Promise<Wire>;

const KEY = 'io.modelcontextprotocol/';
const REVISION = { legacy: '2025-11-25', modern: '2026-07-28' } as const;
const CLIENT_INFO = { name: 'faithful', version: '0' };
const CAPABILITIES: JsonObject = { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} };
const EXTENSIONS: JsonObject = { extensions: { [`${KEY}tasks`]: {} } };
const UNASKED = /^notifications\/(resources\/updated$|.*list_changed$|subscriptions\/)/;

interface Pending {
  readonly id: number;
  readonly answer: AskOptions['answer'];
  readonly notifications: JsonObject[];
  readonly questions: JsonObject[];
  resolve(answer: JsonObject): void;
}

export class FaithfulClient {
  readonly era: Era;
  /** What the gate said of itself. */
  hello: JsonObject = {};
  /** Notifications that belong to no request. */
  readonly unasked: JsonObject[] = [];
  readonly #wire: Wire;
  #pending: Pending | undefined;
  #lastId = 0;

  private constructor(era: Era, wire: Wire) {
    this.era = era;
    this.#wire = wire;
  }

  static async open(era: Era, open: OpenWire): Promise<FaithfulClient> {
    let hear: (message: JsonObject) => void = () => {};
    const client = new FaithfulClient(era, await open((message) => hear(message)));
    hear = (message) => client.#hear(message);
    if (era === 'modern') {
      client.hello = (await client.ask('server/discover', {})).result ?? {};
      return client;
    }
    const hello = { protocolVersion: REVISION.legacy, capabilities: CAPABILITIES, clientInfo: CLIENT_INFO };
    client.hello = (await client.ask('initialize', hello)).result ?? {};
    client.#send({ method: 'notifications/initialized' });
    await client.ask('logging/setLevel', { level: 'debug' });
    await client.#wire.listen?.();
    return client;
  }

  /** A request, in as many rounds as it takes. */
  async ask(method: string, params: JsonObject, { answer, spelling }: AskOptions = {}): Promise<Heard> {
    const notifications: JsonObject[] = [];
    const questions: JsonObject[] = [];
    const rounds: JsonObject[] = [];
    for (let more: JsonObject = {}; ; ) {
      const message = await this.#round(method, { ...params, ...more }, { answer, notifications, questions }, spelling);
      const { result, error } = message as { result?: JsonObject; error?: JsonObject };
      if (result?.resultType !== 'input_required') {
        const ended = { notifications, questions, rounds };
        return { ...ended, ...(result === undefined ? {} : { result }), ...(error === undefined ? {} : { error }) };
      }
      const { inputRequests = {}, requestState, ...round } = result as { inputRequests?: JsonObject } & JsonObject;
      rounds.push(round);
      const asked = Object.entries(inputRequests) as [string, JsonObject][];
      questions.push(...asked.map(([key, question]) => ({ key, ...question })));
      const inputResponses = Object.fromEntries(asked.map(([key, question]) => [key, answer?.(question) ?? {}]));
      more = { inputResponses, ...(requestState === undefined ? {} : { requestState }) };
    }
  }

  /** Asks to be told of a resource. Resolves when that is agreed. */
  async subscribe(uri: string): Promise<void> {
    if (this.era === 'legacy') {
      const { error } = await this.ask('resources/subscribe', { uri });
      if (error !== undefined) throw new Error(JSON.stringify(error));
      return;
    }
    this.#lastId += 1;
    const notifications = { resourceSubscriptions: [uri] };
    const from = this.unasked.length;
    this.#send({ id: this.#lastId, method: 'subscriptions/listen', params: this.#enveloped({ notifications }) });
    await this.until(() => this.unasked.slice(from).some(({ method }) => String(method).endsWith('acknowledged')));
  }

  async until(holds: () => boolean): Promise<void> {
    const end = Date.now() + 10_000;
    while (!holds()) {
      if (Date.now() > end) throw new Error(`timed out; heard unasked: ${JSON.stringify(this.unasked)}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  close(): Promise<void> {
    return this.#wire.close();
  }

  #round(
    method: string,
    params: JsonObject,
    pending: Pick<Pending, 'answer' | 'notifications' | 'questions'>,
    spelling: string | undefined,
  ): Promise<JsonObject> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      this.#pending = { ...pending, id, resolve };
      this.#send({ id, method, params: this.era === 'modern' ? this.#enveloped(params) : params }, spelling);
    });
  }

  #enveloped({ _meta: meta = {}, ...params }: JsonObject): JsonObject {
    return {
      ...params,
      _meta: {
        ...(meta as JsonObject),
        [`${KEY}protocolVersion`]: REVISION.modern,
        [`${KEY}clientCapabilities`]: { ...CAPABILITIES, ...EXTENSIONS },
        [`${KEY}clientInfo`]: CLIENT_INFO,
        [`${KEY}logLevel`]: 'debug',
      },
    };
  }

  #send(message: JsonObject, spelling?: string): void {
    const text = JSON.stringify({ jsonrpc: '2.0', ...message });
    this.#wire.send(spelling === undefined ? text : text.replaceAll('"@spelled@"', spelling), message);
  }

  #hear(message: JsonObject): void {
    const { id, method, params } = message;
    const pending = this.#pending;
    if (method === undefined) {
      if (pending?.id === id) pending?.resolve(message);
    } else if (id !== undefined) {
      const question = { method, ...(params === undefined ? {} : { params }) };
      pending?.questions.push(question);
      this.#send({ id, result: pending?.answer?.(question) ?? {} });
    } else if (UNASKED.test(String(method))) this.unasked.push(message);
    else pending?.notifications.push(message);
  }
}

export function faithfulStdio(era: Era, running: RunningCommand): Promise<FaithfulClient> {
  return FaithfulClient.open(era, async (hear) => {
    let rest = '';
    running.child.stdout.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) hear(JSON.parse(line) as JsonObject);
    });
    return { send: (text) => void running.child.stdin.write(`${text}\n`), close: async () => {} };
  });
}

export function faithfulSocket(era: Era, url: string): Promise<FaithfulClient> {
  return FaithfulClient.open(era, async (hear) => {
    const client = new WebSocketClient(url);
    await client.opened();
    client.socket.on('message', (data) => hear(JSON.parse(String(data)) as JsonObject));
    return {
      send: (text) => void client.send(text),
      close: async () => {
        client.socket.close();
        await client.end();
      },
    };
  });
}

export function faithfulHttp(era: Era, url: string): Promise<FaithfulClient> {
  return FaithfulClient.open(era, async (hear) => {
    const accept = 'application/json, text/event-stream';
    const headers: Record<string, string> = { 'content-type': 'application/json', accept };
    const over = new AbortController();
    const post = async (text: string, own: Record<string, string>): Promise<void> => {
      const init = { method: 'POST', headers: { ...headers, ...own }, body: text, signal: over.signal };
      const response = await fetch(url, init);
      const session = response.headers.get('mcp-session-id');
      if (session !== null) {
        headers['mcp-session-id'] = session;
        headers['mcp-protocol-version'] = REVISION.legacy;
      }
      await readMessages(response, hear);
    };
    const quietly = (reading: Promise<void>): void => {
      reading.catch((fault: Error) => {
        if (!over.signal.aborted) hear({ method: 'notifications/fault', params: { fault: String(fault) } });
      });
    };
    return {
      send: (text, message) => quietly(post(text, era === 'modern' ? routing(message) : {})),
      close: async () => over.abort(),
      ...(era === 'modern'
        ? {}
        : {
            listen: async () => {
              const response = await fetch(url, { headers: { ...headers, accept }, signal: over.signal });
              quietly(readMessages(response, hear));
            },
          }),
    };
  });
}

/** The headers that repeat what a request of the newer era says. */
function routing({ method, params }: JsonObject): Record<string, string> {
  const { name, uri, taskId } = (params ?? {}) as JsonObject;
  const byMethod: Record<string, Json | undefined> = { 'tools/call': name, 'prompts/get': name, 'resources/read': uri };
  const named = byMethod[String(method)] ?? (String(method).startsWith('tasks/') ? taskId : undefined);
  return {
    'mcp-protocol-version': REVISION.modern,
    'mcp-method': String(method),
    ...(typeof named === 'string' ? { 'mcp-name': named } : {}),
  };
}

async function readMessages(response: Response, hear: (message: JsonObject) => void): Promise<void> {
  const type = response.headers.get('content-type') ?? '';
  if (!type.startsWith('text/event-stream')) {
    const text = await response.text();
    if (text.trim() !== '') hear(JSON.parse(text) as JsonObject);
    return;
  }
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of response.body ?? []) {
    const events = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const data = event.split('\n').flatMap((line) => (line.startsWith('data:') ? [line.slice(5)] : []));
      if (data.length > 0 && data.join('\n').trim() !== '') hear(JSON.parse(data.join('\n')) as JsonObject);
    }
  }
}
