// The contract of a tool server, kept over a WebSocket by a server that writes whole messages, or pieces.

import { wsToolServer } from '../../adapters/upstream/ws/ws-tool-server.ts';
import { startHttpCounter } from '../fixtures/servers/http-counter.ts';
import { speakingServerContract } from './speaking-server.contract.ts';
import { type TransportUnderTest, toolServerContract } from './tool-server.contract.ts';

for (const mode of ['whole', 'fragments'] as const) {
  const transport: TransportUnderTest = {
    name: `WebSocket in ${mode}`,
    writesInTheTick: true,
    open: async ({ file, revision, pages, offers, listener, limits }) => {
      const env: Record<string, string> = { COUNTER_WS: mode, COUNTER_FILE: file };
      if (revision !== undefined) env.COUNTER_REVISION = revision;
      if (pages !== undefined) env.COUNTER_TOOL_PAGES = String(pages);
      if (offers !== undefined) env.COUNTER_OFFERS = offers;
      let counter = await startHttpCounter(env, 'ws-counter.mjs');
      const { port } = counter;
      const surroundings = { clientInfo: { name: 'portcullis', version: '0' }, listener, ...(limits && { limits }) };
      return {
        server: wsToolServer({ name: 'counter', url: `ws://127.0.0.1:${port}/mcp` }, surroundings),
        revive: async () => {
          counter = await startHttpCounter({ ...env, COUNTER_PORT: String(port) }, 'ws-counter.mjs');
        },
        release: () => counter.stop(),
      };
    },
  };
  toolServerContract(transport);
  speakingServerContract(transport);
}
