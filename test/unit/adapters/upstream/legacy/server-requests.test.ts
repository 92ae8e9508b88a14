import { describe, expect, it } from 'vitest';
import type { OpenCall } from '../../../../../adapters/upstream/legacy/open-requests.ts';
import { ServerRequests, type ServerRequestsOptions } from '../../../../../adapters/upstream/legacy/server-requests.ts';
import { UPSTREAM_LIMITS } from '../../../../../adapters/upstream/limits.ts';
import type { RefusedRequest } from '../../../../../adapters/upstream/ports.ts';
import type { Json } from '../../../../../domain/json.ts';
import type { Asking } from '../../../../../proxy/tool-server.ts';
import { hooks } from '../../../../support/hooks.ts';

const asking = (note: string, heard: string[]): Asking => ({
  answer: new Promise(() => {}),
  cancel: () => void heard.push(`${note} is cancelled`),
});

/** A server with one call in flight, and perhaps one client alone. */
function server(hasOneClient: boolean) {
  const heard: string[] = [];
  const ask = ({ method }: { method: string }): Asking => {
    heard.push(`${method} within the call`);
    return asking(method, heard);
  };
  const call = { hooks: hooks({ ask }) } as OpenCall;
  const unasked: ServerRequestsOptions['unasked'] = ({ method }) => {
    heard.push(`${method} within none`);
    return hasOneClient ? asking(method, heard) : undefined;
  };
  const requests = new ServerRequests({
    limits: UPSTREAM_LIMITS,
    requests: { spokenFor: () => call, size: 1 } as unknown as ServerRequestsOptions['requests'],
    dropped: { requests: 0 } as ServerRequestsOptions['dropped'],
    nowMs: () => 0,
    send: () => 'sent',
    unasked,
    onRefused: () => {},
    violate: () => {},
  });
  const asks = (method: string, exchange?: number) => requests.receive({ id: 1, method, params: {}, exchange });
  return { requests, call, heard, asks };
}

describe('a question that comes while one call runs', () => {
  it('for the roots belongs to no call, and does not end with that one', () => {
    const { requests, call, heard, asks } = server(true);
    asks('roots/list');
    requests.callEnded(call);
    expect(heard).toEqual(['roots/list within none']);
  });

  it('for the roots belongs to that call where the server has several clients, and ends with it', () => {
    const { requests, call, heard, asks } = server(false);
    asks('roots/list');
    requests.callEnded(call);
    expect(heard).toEqual(['roots/list within none', 'roots/list within the call', 'roots/list is cancelled']);
  });

  it('for the roots on the stream of that call belongs to it', () => {
    const { heard, asks } = server(true);
    asks('roots/list', 7);
    expect(heard).toEqual(['roots/list within the call']);
  });

  it('for anything else belongs to it, and ends with it', () => {
    const { requests, call, heard, asks } = server(true);
    asks('sampling/createMessage');
    requests.callEnded(call);
    expect(heard).toEqual(['sampling/createMessage within the call', 'sampling/createMessage is cancelled']);
  });
});

it('a question that nobody is there for is excused once of each kind, and no other refusal is', () => {
  const refused: RefusedRequest[] = [];
  const requests = new ServerRequests({
    limits: UPSTREAM_LIMITS,
    requests: { spokenFor: () => undefined, size: 0 } as unknown as ServerRequestsOptions['requests'],
    dropped: { requests: 0 } as ServerRequestsOptions['dropped'],
    nowMs: () => 0,
    send: () => 'sent',
    unasked: () => undefined,
    onRefused: (request) => refused.push(request),
    violate: () => {},
  });
  const asks = (method: string, params: Json = {}) => requests.receive({ id: 1, method, params, exchange: undefined });
  asks('tools/call');
  asks('roots/list', []);
  asks('roots/list');
  asks('sampling/createMessage');
  asks('roots/list');
  asks('roots/list');
  const excused = refused.map(({ nobodyThere }) => nobodyThere === true);
  expect(excused).toEqual([false, false, true, true, false, false]);
});
