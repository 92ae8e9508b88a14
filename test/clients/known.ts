// The clients that the runner has, in the order in which they are run.

import { CLAUDE_CODE } from './claude-code.ts';
import { CLINE_CLI } from './cline-cli.ts';
import { CODEX } from './codex.ts';
import { CONTINUE } from './continue.ts';
import { COPILOT_CLI } from './copilot-cli.ts';
import { GEMINI_CLI } from './gemini-cli.ts';
import { OPENCODE } from './opencode.ts';
import type { RealClient } from './real-client.ts';

export const REAL_CLIENTS: readonly RealClient[] = [
  CLAUDE_CODE,
  CODEX,
  GEMINI_CLI,
  COPILOT_CLI,
  OPENCODE,
  CONTINUE,
  CLINE_CLI,
];
