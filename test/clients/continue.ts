// Continue's CLI, as `cn -p`.

import { join } from 'node:path';
import type { RealClient } from './real-client.ts';

export const CONTINUE: RealClient = {
  id: 'continue',
  package: { name: '@continuedev/cli', version: '1.5.47' },
  bin: 'cn',
  timesOut: false,
  configuration: ({ home }, { command, args, env }) => ({
    file: join(home, '.continue', 'config.yaml'),
    text: `# what I use
name: here
version:   1.0.0
schema: v1
models:
    - name: scripted   # anything
      provider: openai
      model: scripted
      apiBase: MODEL/v1
      apiKey: none
      roles: [chat]
      capabilities: [tool_use]

mcpServers:
    # counts
    - name:  counter
      command: ${JSON.stringify(command)}
      args:
        ${args.map((one) => `- ${JSON.stringify(one)}   # where it lies`).join('\n        ')}
      env: { ${Object.entries(env)
        .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
        .join(', ')} }
# the end
`,
  }),
  session: ({ prompt, home }) => ({
    args: ['--config', join(home, '.continue', 'config.yaml'), '--auto', '-p', prompt],
    env: { CONTINUE_TELEMETRY_ENABLED: '0' },
  }),
};
