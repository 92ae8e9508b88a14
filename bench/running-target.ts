// A target that runs: its process, the load client that speaks to it, and what it has used.

import { connect } from 'node:net';
import { type LoadClient, openHttp, openStdio } from './load-client.ts';
import { ECHO_SERVER, ROOT } from './places.ts';
import type { PortcullisHome } from './portcullis-home.ts';
import { freePort, type Started, start, stop, threadUsage, usage } from './processes.ts';
import { launch, type Route, type TargetName } from './targets.ts';

const START_TIMEOUT_MS = 20_000;
const PORT_POLL_MS = 2;

export interface RunningTarget {
  readonly name: TargetName;
  readonly route: Route;
  readonly client: LoadClient;
  /** From the start of the process to the first right answer of the tool. */
  readonly startUpMs: number;
  usage(): ReturnType<typeof usage>;
  threads(): ReturnType<typeof threadUsage>;
  /** Why it can answer no more, or undefined while it runs. */
  ended(): string | undefined;
  stop(): Promise<void>;
}

/** Undefined where the target does not offer the route. Rejects when it does not come up or answers wrongly. */
export async function startTarget(
  name: TargetName,
  route: Route,
  home: PortcullisHome | undefined,
  nodeFlags: readonly string[] = [],
): Promise<RunningTarget | undefined> {
  const port = await freePort();
  const how = launch(name, route, port, home);
  if (how === undefined) return undefined;
  const startedAt = performance.now();
  const started = start(process.execPath, [...nodeFlags, ...how.args], { cwd: ROOT, env: home?.env ?? process.env });
  try {
    const client = await withTimeout(open(started, route, port, how.path), started);
    await withTimeout(firstCall(client), started);
    const startUpMs = performance.now() - startedAt;
    return {
      name,
      route,
      client,
      startUpMs,
      usage: () => usage(started.pid, ECHO_SERVER),
      threads: () => threadUsage(started.pid),
      ended: () => (started.exited() ? `it ended: ${complaint(started.stderr())}` : undefined),
      async stop() {
        client.close();
        await stop(started);
      },
    };
  } catch (error) {
    await stop(started);
    throw error;
  }
}

async function open(started: Started, route: Route, port: number, path: string): Promise<LoadClient> {
  const { stdin, stdout } = started.process;
  if (stdin === null || stdout === null) throw new Error('the process has no pipes');
  if (route === 'stdio') return openStdio(stdin, stdout);
  stdout.resume();
  while (!(await accepts(port))) {
    if (started.exited()) throw new Error('it ended before it listened');
    await new Promise((resolve) => setTimeout(resolve, PORT_POLL_MS));
  }
  return openHttp(port, path);
}

function firstCall(client: LoadClient): Promise<void> {
  return new Promise((resolve, reject) => {
    client.call(0, 'bench start', (fault) => (fault === undefined ? resolve() : reject(new Error(fault))));
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** Adds what the process said to the reason why it did not come up, and does not wait for one that has ended. */
async function withTimeout<T>(work: Promise<T>, started: Started): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const trouble = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${START_TIMEOUT_MS / 1000} s`)), START_TIMEOUT_MS);
    started.process.once('exit', (code, signal) => reject(new Error(`it ended with ${code ?? signal}`)));
  });
  try {
    return await Promise.race([work, trouble]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error([reason, complaint(started.stderr())].filter((part) => part !== '').join(': '));
  } finally {
    clearTimeout(timer);
  }
}

/** The line of standard error most likely to say what happened, in a length that fits a table. */
function complaint(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  const line = lines.find((candidate) => /error/i.test(candidate)) ?? lines.findLast((candidate) => candidate !== '');
  return (line ?? '').slice(0, 200);
}
