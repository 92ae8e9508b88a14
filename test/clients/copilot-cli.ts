// Copilot CLI, as `copilot -p` in its offline mode, with a model of one's own.

import { join } from 'node:path';
import type { RealClient } from './real-client.ts';

export const COPILOT_CLI: RealClient = {
  id: 'copilot-cli',
  package: { name: '@github/copilot', version: '1.0.102' },
  bin: 'copilot',
  timesOut: false,
  folders: ({ home }) => ({ COPILOT_HOME: join(home, 'copilot') }),
  configuration: ({ home }, { command, args, env }) => ({
    file: join(home, 'copilot', 'mcp-config.json'),
    text: `\uFEFF{"mcpServers":{
  "counter":{"type":"local","command":${JSON.stringify(command)},
             "args":${JSON.stringify(args)},
             "env":${JSON.stringify(env)},"tools":["*"]}}}`,
  }),
  session: ({ prompt, model }) => ({
    args: ['--allow-all-tools', '--no-color', '-p', prompt],
    env: {
      COPILOT_OFFLINE: 'true',
      COPILOT_PROVIDER_BASE_URL: `${model}/v1`,
      COPILOT_PROVIDER_API_KEY: 'none',
      COPILOT_MODEL: 'scripted',
    },
  }),
};
