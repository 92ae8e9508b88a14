// Gemini CLI, as `gemini -p`.

import { join } from 'node:path';
import type { RealClient } from './real-client.ts';

export const GEMINI_CLI: RealClient = {
  id: 'gemini-cli',
  package: { name: '@google/gemini-cli', version: '0.61.0' },
  bin: 'gemini',
  timesOut: false,
  configuration: ({ home }, { command, args, env }) => ({
    file: join(home, '.gemini', 'settings.json'),
    text: `// mine
{
    "security": { "auth": { "selectedType": "gemini-api-key" } },   // no account
    "privacy": {"usageStatisticsEnabled":false},
    "general":{ "disableAutoUpdate": true },
    /* what counts */
    "mcpServers": {
      "counter": { "command": ${JSON.stringify(command)}, "args": [
          ${args.map((one) => JSON.stringify(one)).join(',\n          ')}
        ], "env":${JSON.stringify(env)}, "trust": true /* never asks */ }
    }
}
`,
  }),
  elsewhere: ({ home, project }, { url, headers }, { command, args, env }) => ({
    user: {
      file: join(home, '.gemini', 'settings.json'),
      text: `{ "security": { "auth": { "selectedType": "gemini-api-key" } },
  "privacy": {"usageStatisticsEnabled":false}, "general":{ "disableAutoUpdate": true },
  "mcpServers": { // elsewhere
    "distant": { "httpUrl":${JSON.stringify(url)}, "headers": ${JSON.stringify(headers)}, "trust":true } } }\n`,
    },
    project: {
      file: join(project, '.gemini', 'settings.json'),
      text: `{
  // of everybody here
  "mcpServers": { "counter": {
      "command": ${JSON.stringify(command)}, "args":${JSON.stringify(args)}, "env":   ${JSON.stringify(env)}, "trust": true } }
}
`,
    },
  }),
  session: ({ prompt, model }) => ({
    args: ['--skip-trust', '--approval-mode', 'yolo', '-m', 'gemini-2.5-flash', '-o', 'json', '-p', prompt],
    // It heeds the files of projects that its user trusts.
    env: { GEMINI_API_KEY: 'none', GOOGLE_GEMINI_BASE_URL: model, GEMINI_CLI_TRUST_WORKSPACE: 'true' },
  }),
};
