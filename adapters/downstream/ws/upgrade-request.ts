// The request that asks for a WebSocket: which offers to upgrade are taken up, and what must hold before one is accepted. Whether the sender
// may talk to us at all is http/access.ts.

import { IncomingMessage } from 'node:http';
import { checkFraming, type HttpRefusal } from '../http/request-checks.ts';

/** The subprotocol of MCP on WebSocket, as the client libraries ask for it. */
export const SUBPROTOCOL = 'mcp';

/**
 * A request to a server that speaks WebSocket and nothing else besides HTTP. Offers of other protocols (clients of HTTP/2 make one with every
 * first request) are ignored as RFC 9110 section 7.8 allows, and the request is an ordinary one.
 */
export class UpgradableRequest extends IncomingMessage {
  /** What the parser found. A plain member, because the parent's constructor sets `upgrade` before fields of ours exist. */
  declare private offered: boolean | null;

  get upgrade(): boolean {
    return this.offered === true && (this.method === 'CONNECT' || this.headers.upgrade?.toLowerCase() === 'websocket');
  }

  set upgrade(offered: boolean | null) {
    this.offered = offered;
  }
}

const KEY = /^[+/0-9A-Za-z]{22}==$/;

/** RFC 6455 section 4.2.1, with the one version that is final and one subprotocol. */
export function checkUpgrade(request: IncomingMessage, subprotocol = SUBPROTOCOL): HttpRefusal | undefined {
  const { headers, httpVersion, method } = request;
  if (method !== 'GET') return { status: 405, message: 'Method not allowed', headers: { allow: 'GET' } };
  const misframed = checkFraming(request);
  if (misframed !== undefined) return misframed;
  if (httpVersion !== '1.1') return { status: 400, message: 'WebSocket needs HTTP/1.1' };
  if (!KEY.test(headers['sec-websocket-key'] ?? ''))
    return { status: 400, message: 'Sec-WebSocket-Key is missing or not one' };
  if (headers['sec-websocket-version'] !== '13') {
    return {
      status: 426,
      message: 'Sec-WebSocket-Version is not supported',
      headers: { 'sec-websocket-version': '13' },
    };
  }
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  if (!offered.includes(subprotocol)) return { status: 400, message: `The subprotocol must be ${subprotocol}` };
  return undefined;
}
