// Codex CLI, as `codex exec`.

import { join } from 'node:path';
import type { RealClient } from './real-client.ts';

const MODEL = `# what I use, and why
model = "scripted"   # anything
model_provider='here'

[model_providers.here]
name="here"
base_url = "MODEL/v1"
wire_api = "responses"
env_key = "MODEL_KEY"
`;

function inline(values: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(values).map(([name, value]) => `${JSON.stringify(name)} = ${JSON.stringify(value)}`);
  return `{ ${pairs.join(', ')} }`;
}

export const CODEX: RealClient = {
  id: 'codex',
  package: { name: '@openai/codex', version: '0.169.0' },
  bin: 'codex',
  timesOut: true,
  folders: ({ home }) => ({ CODEX_HOME: join(home, 'codex settings') }),
  configuration: ({ home }, { command, args, env }) => ({
    file: join(home, 'codex settings', 'config.toml'),
    text: `${MODEL}
[ mcp_servers . counter ]     # counts
command=${JSON.stringify(command)}
args = [ ${args.map((one) => JSON.stringify(one)).join(' ,\n   ')},   # where it lies
]
env   = ${inline(env)}
default_tools_approval_mode = "approve" # or it asks
required=true   # or a prompt does not wait for what takes longer than a second

# the end`,
  }),
  elsewhere: ({ home, project }, { url, headers }, { command, args, env }) => ({
    user: {
      file: join(home, 'codex settings', 'config.toml'),
      text: `${MODEL}
[projects.${JSON.stringify(project)}]
trust_level = "trusted"

[mcp_servers."distant"]   # elsewhere
  url=${JSON.stringify(url)}
  http_headers = ${inline(headers)} # who I am
  default_tools_approval_mode = "approve"
  required = true
`,
    },
    project: {
      file: join(project, '.codex', 'config.toml'),
      text: `# of everybody here
[mcp_servers.counter]
command = ${JSON.stringify(command)}
args = ${JSON.stringify(args)}
default_tools_approval_mode = "approve"
required = true
[mcp_servers.counter.env]   # where to
${Object.entries(env)
  .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  .join('\n')}`,
    },
  }),
  session: ({ prompt, callMs }) => ({
    args: [
      'exec',
      '--skip-git-repo-check',
      '--json',
      ...(callMs === undefined ? [] : ['-c', `mcp_servers.counter.tool_timeout_sec=${callMs / 1000}`]),
      prompt,
    ],
    env: { MODEL_KEY: 'none' },
  }),
};
