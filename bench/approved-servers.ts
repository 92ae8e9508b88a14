// What the bench wrote itself needs no second look: every server of a manifest is approved as it is now, with the commands that a user has.

import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { PORTCULLIS, ROOT } from './places.ts';

const REVIEW = ['review'];

function line(args: readonly string[], config: string): string[] {
  return [PORTCULLIS, 'tools', ...args, '--config', config, '--json'];
}

/** What to run after a review. */
function approval(review: string): string[] {
  const { servers } = JSON.parse(review) as { servers: { server: string; digest: string }[] };
  return ['approve', ...servers.flatMap(({ server, digest }) => [server, '--digest', digest])];
}

/** Throws where one cannot be approved. */
export function approveServersNow(config: string, env: NodeJS.ProcessEnv): void {
  const run = (args: readonly string[]): string =>
    execFileSync(process.execPath, line(args, config), { encoding: 'utf8', env, cwd: ROOT, stdio: 'pipe' });
  run(approval(run(REVIEW)));
}

/** The same where a server is part of this process, and has to answer meanwhile. */
export async function approveServers(config: string, env: NodeJS.ProcessEnv): Promise<void> {
  const run = async (args: readonly string[]): Promise<string> =>
    (await promisify(execFile)(process.execPath, line(args, config), { env, cwd: ROOT })).stdout;
  await run(approval(await run(REVIEW)));
}
