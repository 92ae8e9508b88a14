// Claude Code, as `claude -p`. It rewrites the file in which its servers stand with every session.

import { join } from 'node:path';
import type { RealClient } from './real-client.ts';

export const CLAUDE_CODE: RealClient = {
  id: 'claude-code',
  package: { name: '@anthropic-ai/claude-code', version: '2.1.329' },
  bin: 'claude',
  timesOut: true,
  configuration: ({ home }, { command, args, env }) => ({
    file: join(home, '.claude.json'),
    text: `{ "hasCompletedOnboarding":true,\r\n\t"mcpServers" :\r\n  {\t"counter": { "type":"stdio" , "command": ${JSON.stringify(command)},\r\n     "args":${JSON.stringify(args)},   "env" : ${JSON.stringify(env)} } } }`,
  }),
  elsewhere: ({ home, project }, { url, headers }, { command, args, env }) => ({
    user: {
      file: join(home, '.claude.json'),
      text: `{ "hasCompletedOnboarding":true,
  "mcpServers": { "distant" : {"type":"http", "url":${JSON.stringify(url)},
      "headers":  ${JSON.stringify(headers)} } } }\n`,
    },
    project: {
      file: join(project, '.mcp.json'),
      text: `{"mcpServers":{
\t"counter": {"command":${JSON.stringify(command)}, "args":${JSON.stringify(args)},
\t\t"env":${JSON.stringify(env)}}}}`,
    },
  }),
  session: ({ prompt, model, callMs }) => ({
    args: [
      '-p',
      prompt,
      '--allowedTools',
      'mcp__counter,mcp__distant',
      '--output-format',
      'json',
      '--model',
      'scripted',
    ],
    env: {
      ANTHROPIC_BASE_URL: model,
      ANTHROPIC_API_KEY: 'none',
      // Otherwise tools of servers come later, through a search.
      ENABLE_TOOL_SEARCH: 'false',
      // Otherwise a prompt does not wait for servers that take longer than two seconds, as a gate that starts on a busy machine does.
      MCP_CONNECTION_NONBLOCKING: '0',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_AUTOUPDATER: '1',
      ...(callMs === undefined ? {} : { MCP_TOOL_TIMEOUT: String(callMs) }),
    },
  }),
};
