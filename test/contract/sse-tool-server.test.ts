// The contract of a tool server, kept over HTTP+SSE of 2024-11-05 by the SDK's own transport.

import { sseToolServer } from '../../adapters/upstream/sse/sse-tool-server.ts';
import { startHttpCounter } from '../fixtures/servers/http-counter.ts';
import { speakingServerContract } from './speaking-server.contract.ts';
import { type TransportUnderTest, toolServerContract } from './tool-server.contract.ts';

const TRANSPORT: TransportUnderTest = {
  name: 'HTTP+SSE',
  writesInTheTick: false,
  open: async ({ file, revision, pages, offers, listener, limits }) => {
    const env: Record<string, string> = { COUNTER_FILE: file };
    if (revision !== undefined) env.COUNTER_REVISION = revision;
    if (pages !== undefined) env.COUNTER_TOOL_PAGES = String(pages);
    if (offers !== undefined) env.COUNTER_OFFERS = offers;
    let counter = await startHttpCounter(env, 'sse-counter.mjs');
    const { port } = counter;
    const surroundings = { clientInfo: { name: 'portcullis', version: '0' }, listener, ...(limits && { limits }) };
    return {
      server: sseToolServer({ name: 'counter', url: `http://127.0.0.1:${port}/sse` }, surroundings),
      revive: async () => {
        counter = await startHttpCounter({ ...env, COUNTER_PORT: String(port) }, 'sse-counter.mjs');
      },
      release: () => counter.stop(),
    };
  },
};

toolServerContract(TRANSPORT);
speakingServerContract(TRANSPORT);
