// The contract of a tool server, kept by processes on standard input and output.

import { stdioToolServer } from '../../adapters/upstream/stdio/stdio-tool-server.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { toolServerContract } from './tool-server.contract.ts';

toolServerContract({
  name: 'stdio',
  writesInTheTick: true,
  open: async ({ file, revision, pages, listener, limits }) => {
    const env: Record<string, string> = { COUNTER_FILE: file };
    if (revision !== undefined) env.COUNTER_REVISION = revision;
    if (pages !== undefined) env.COUNTER_TOOL_PAGES = String(pages);
    const config = { name: 'counter', command: process.execPath, args: [fixtureServer('counter.mjs')], env };
    const server = stdioToolServer(config, {
      clientInfo: { name: 'portcullis', version: '0' },
      listener,
      ...(limits && { limits }),
    });
    return { server, release: async () => undefined };
  },
});
