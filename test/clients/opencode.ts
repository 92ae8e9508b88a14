// opencode, as `opencode run`.

import { join } from 'node:path';
import type { RealClient } from './real-client.ts';

const MODEL = `\t"autoupdate": false, "share": "disabled",
\t"model": "here/scripted", "small_model": "here/scripted",
\t"provider": { "here": { "npm": "@ai-sdk/openai-compatible", "name": "here",
\t\t"options": { "baseURL": "MODEL/v1", "apiKey": "none" },
\t\t"models": { "scripted": { "name": "scripted", "tool_call": true } } } },`;

export const OPENCODE: RealClient = {
  id: 'opencode',
  package: { name: 'opencode-ai', version: '1.18.33' },
  bin: 'opencode',
  timesOut: false,
  configuration: ({ home }, { command, args, env }) => ({
    file: join(home, '.config', 'opencode', 'opencode.jsonc'),
    text: `{
${MODEL}
\t// counts
\t"mcp": {
\t\t"counter": { "type": "local", "enabled": true,
\t\t\t"command": [ ${JSON.stringify(command)}, /* where it lies: */ ${args.map((one) => JSON.stringify(one)).join(', ')}, ],
\t\t\t"environment": ${JSON.stringify(env)}, },
\t},
}
`,
  }),
  elsewhere: ({ home, project }, { url, headers }, { command, args, env }) => ({
    user: {
      file: join(home, '.config', 'opencode', 'opencode.json'),
      text: `{
${MODEL}
  "mcp":{ "distant":{"type":"remote","url":${JSON.stringify(url)} ,"headers":${JSON.stringify(headers)} } } }`,
    },
    project: {
      file: join(project, 'opencode.json'),
      text: `{ "mcp": {
  "counter": { "type": "local", // of everybody here
    "command": ${JSON.stringify([command, ...args])}, "environment": ${JSON.stringify(env)} }, }, }
`,
    },
  }),
  session: ({ prompt }) => ({ args: ['run', '--format', 'json', prompt], env: {} }),
};
