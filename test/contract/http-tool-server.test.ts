// The contract of a tool server, kept over Streamable HTTP by a server that answers as JSON, as a stream, or to who asks again.

import { httpToolServer } from '../../adapters/upstream/http/http-tool-server.ts';
import { startHttpCounter } from '../fixtures/servers/http-counter.ts';
import { toolServerContract } from './tool-server.contract.ts';

for (const mode of ['json', 'sse', 'polling'] as const) {
  toolServerContract({
    name: `Streamable HTTP answering by ${mode}`,
    writesInTheTick: false,
    open: async ({ file, revision, pages, listener, limits }) => {
      const env: Record<string, string> = { COUNTER_HTTP: mode, COUNTER_FILE: file };
      if (revision !== undefined) env.COUNTER_REVISION = revision;
      if (pages !== undefined) env.COUNTER_TOOL_PAGES = String(pages);
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
  });
}
