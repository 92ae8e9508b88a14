// The contract of a tool server, kept over Streamable HTTP by a server that answers as JSON, as a stream, or to who asks again.

import { httpToolServer } from '../../adapters/upstream/http/http-tool-server.ts';
import { startHttpCounter } from '../fixtures/servers/http-counter.ts';
import { speakingServerContract } from './speaking-server.contract.ts';
import { type TransportUnderTest, toolServerContract } from './tool-server.contract.ts';

for (const mode of ['json', 'sse', 'polling'] as const) {
  const transport: TransportUnderTest = {
    name: `Streamable HTTP answering by ${mode}`,
    writesInTheTick: false,
    tellsWhose: true,
    open: async ({ file, revision, pages, offers, listener, limits }) => {
      const env: Record<string, string> = { COUNTER_HTTP: mode, COUNTER_FILE: file };
      if (revision !== undefined) env.COUNTER_REVISION = revision;
      if (pages !== undefined) env.COUNTER_TOOL_PAGES = String(pages);
      if (offers !== undefined) env.COUNTER_OFFERS = offers;
      let counter = await startHttpCounter(env);
      const url = `http://127.0.0.1:${counter.port}/mcp`;
      const surroundings = { clientInfo: { name: 'portcullis', version: '0' }, listener, ...(limits && { limits }) };
      return {
        server: httpToolServer({ name: 'counter', url }, surroundings),
        revive: async () => {
          counter = await startHttpCounter({ ...env, COUNTER_HTTP_PORT: String(counter.port) });
        },
        release: () => counter.stop(),
      };
    },
  };
  toolServerContract(transport);
  speakingServerContract(transport);
}
