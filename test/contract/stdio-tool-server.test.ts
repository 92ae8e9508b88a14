// The contract of a tool server, kept by processes on standard input and output.

import { stdioToolServer } from '../../adapters/upstream/stdio/stdio-tool-server.ts';
import { fixtureServer } from '../fixtures/servers/paths.ts';
import { speakingServerContract } from './speaking-server.contract.ts';
import { type TransportUnderTest, toolServerContract } from './tool-server.contract.ts';

const TRANSPORT: TransportUnderTest = {
  name: 'stdio',
  writesInTheTick: true,
  open: async ({ file, revision, pages, offers, listener, limits }) => {
    const env: Record<string, string> = { COUNTER_FILE: file };
    if (revision !== undefined) env.COUNTER_REVISION = revision;
    if (pages !== undefined) env.COUNTER_TOOL_PAGES = String(pages);
    if (offers !== undefined) env.COUNTER_OFFERS = offers;
    const config = { name: 'counter', command: process.execPath, args: [fixtureServer('counter.mjs')], env };
    const server = stdioToolServer(config, {
      clientInfo: { name: 'portcullis', version: '0' },
      listener,
      whenIgnored: 'withhold',
      ...(limits && { limits }),
    });
    return { server, release: async () => undefined };
  },
};

toolServerContract(TRANSPORT);
speakingServerContract(TRANSPORT);
