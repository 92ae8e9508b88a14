// opencode, as `opencode run`.

import { join } from 'node:path';
import type { RealClient } from './real-client.ts';

export const OPENCODE: RealClient = {
  id: 'opencode',
  package: { name: 'opencode-ai', version: '1.18.33' },
  bin: 'opencode',
  timesOut: false,
  configuration: ({ home }, { command, args, env }) => ({
    file: join(home, '.config', 'opencode', 'opencode.jsonc'),
    text: `{
\t"autoupdate": false, "share": "disabled",
\t"model": "here/scripted", "small_model": "here/scripted",
\t"provider": { "here": { "npm": "@ai-sdk/openai-compatible", "name": "here",
\t\t"options": { "baseURL": "MODEL/v1", "apiKey": "none" },
\t\t"models": { "scripted": { "name": "scripted", "tool_call": true } } } },
\t// counts
\t"mcp": {
\t\t"counter": { "type": "local", "enabled": true,
\t\t\t"command": [ ${JSON.stringify(command)}, /* where it lies: */ ${args.map((one) => JSON.stringify(one)).join(', ')}, ],
\t\t\t"environment": ${JSON.stringify(env)}, },
\t},
}
`,
  }),
  session: ({ prompt }) => ({ args: ['run', '--format', 'json', prompt], env: {} }),
};
