// A client of the older revisions as the one who executes: questions go to it as requests with ids of our own, and its responses come back
// among its other messages. A response counts once, and only for a question that is open.

import type { JsonObject } from '../../../domain/json.ts';
import type { Reply } from '../../../proxy/client-port.ts';
import { type Classified, notificationMessage, type RequestId, requestText } from '../../../proxy/jsonrpc.ts';
import type { CallHooks, Dispatch, Peer, ToolAnswer, ToolRun } from '../../../proxy/tool-server.ts';

type Response = Extract<Classified, { kind: 'response' }>;

interface Open {
  readonly bytesMax: number;
  readonly hooks: CallHooks;
  settle(answer: ToolAnswer): void;
}

export class AskedClient {
  readonly #open = new Map<RequestId, Open>();
  #lastId = 0;
  #closed = false;

  /** The client, reached by messages that go out through `send`: the stream of the request within which it is asked. */
  through(send: Reply): Peer {
    return { dispatch: (dispatch, hooks) => this.#dispatch(dispatch, hooks, send) };
  }

  /** Takes a response in; false when nobody waits for it. */
  answered({ id, result, error }: Response, bytes: number): boolean {
    const open = this.#open.get(id);
    if (open === undefined) return false;
    this.#open.delete(id);
    if (bytes > open.bytesMax)
      open.settle({ kind: 'refused', code: 'OUTPUT_TOO_LARGE', detail: `an answer of ${bytes} bytes`, bytes });
    else if (error !== undefined) open.settle({ kind: 'error', error, bytes });
    else open.settle({ kind: 'result', result: result ?? {}, bytes });
    return true;
  }

  /** Takes a response in that cannot be read; false when nobody waits for it. */
  misanswered(id: RequestId, reason: string, bytes: number): boolean {
    const open = this.#open.get(id);
    if (open === undefined) return false;
    this.#open.delete(id);
    open.settle({ kind: 'refused', code: 'OUTPUT_INVALID', detail: reason, bytes });
    return true;
  }

  progressed({ progressToken, ...progress }: JsonObject): void {
    if (typeof progressToken === 'number') this.#open.get(progressToken)?.hooks.onProgress(progress);
  }

  /** Nothing more will come: what is open is lost, and nothing more is asked. */
  close(): void {
    this.#closed = true;
    for (const open of this.#open.values()) open.settle({ kind: 'lost', detail: 'the client has gone' });
    this.#open.clear();
  }

  #dispatch({ method, meta, body, outputBytesMax }: Dispatch, hooks: CallHooks, send: Reply): ToolRun {
    if (this.#closed) {
      const gone: ToolAnswer = { kind: 'refused', code: 'SERVER_UNAVAILABLE', detail: 'the client has gone' };
      return { answer: Promise.resolve(gone), cancel: () => {} };
    }
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = new Promise<ToolAnswer>((settle) => {
      this.#open.set(id, { bytesMax: outputBytesMax, hooks, settle });
    });
    send(requestText(id, method, meta.progressToken === undefined ? meta : { ...meta, progressToken: id }, body));
    return {
      answer,
      cancel: (reason) => {
        const open = this.#open.get(id);
        if (open === undefined) return;
        this.#open.delete(id);
        send(notificationMessage('notifications/cancelled', { requestId: id, reason }));
        open.settle({ kind: 'lost', detail: `withdrawn: ${reason}` });
      },
    };
  }
}
