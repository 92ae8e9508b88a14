// Cline's CLI. It leaves a process of its own behind, which the runner ends.

import { join } from 'node:path';
import type { RealClient } from './real-client.ts';

export const CLINE_CLI: RealClient = {
  id: 'cline-cli',
  package: { name: 'cline', version: '3.0.65' },
  bin: 'cline',
  timesOut: false,
  configuration: ({ home }, { command, args, env }) => ({
    file: join(home, '.cline', 'data', 'settings', 'cline_mcp_settings.json'),
    text: `{ "mcpServers": { "counter": {
    "transport": { "type": "stdio",
       "command": ${JSON.stringify(command)}, "args":   ${JSON.stringify(args)},
       "env": ${JSON.stringify(env)} } } } }\n\n`,
  }),
  login: (model) => ['auth', '-p', 'openai', '-k', 'none', '-m', 'scripted', '-b', `${model}/v1`],
  session: ({ prompt }) => ({ args: ['--json', `please ${prompt}`], env: {} }),
};
