// Stands in for a server by joining the gate that all clients of this user share, and starts that gate where none runs. Light on purpose: a client waits
// for what is loaded here. What is said passes through as it is; nothing is decided.

import { spawn } from 'node:child_process';
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { meet } from '../adapters/control/meeting-point.ts';
import { NobodyThere } from '../adapters/control/socket-address.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import { visibleText } from '../domain/visible-text.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { findHome, type Home, MANIFEST_NAME, sharedGateNotes } from './home.ts';
import { environmentOf, type Joining, joiningMessage } from './joining.ts';

/** Of a gate that ends just when somebody comes. */
const TRIES_MAX = 20;
const STARTED_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 10;
/** What the gate says is kept from its start on, and begun anew when it is this much. */
const NOTES_BYTES_MAX = 4 * 1024 * 1024;
const PORTCULLIS = fileURLToPath(new URL('../../bin/portcullis.js', import.meta.url));

/** What became of it: an exit code, or that the entry needs a gate of its own. */
export type Joined = ExitCode | 'alone';

/** Serves the client on our standard input and output through the shared gate. Never rejects. */
export async function joinGate({ name, agent, line }: Omit<Joining, 'environment'>): Promise<Joined> {
  const home = findHome();
  // Without a manifest there is nothing to share.
  if (!existsSync(join(home.config, MANIFEST_NAME))) return 'alone';
  try {
    const { said, socket } = await comeIn(home, { name, agent, line, environment: environmentOf(process.env) });
    if (said.alone === true) {
      socket.destroy();
      return 'alone';
    }
    if (typeof said.joined === 'string') {
      for (const note of texts(said.notes)) say(note);
      return await pass(socket, () => meet(home.state, { leave: said.joined as string }));
    }
    say(String(said.error));
    for (const hint of texts(said.hints)) say(`hint: ${hint}`);
    socket.destroy();
    return exitOf(said.exit);
  } catch (error) {
    for (const line of `the gate cannot be joined: ${(error as Error).message}`.split('\n')) say(line);
    say(`hint: what it said is in ${sharedGateNotes(home)}; to do without it, add --alone behind wrap`);
    return EXIT.gateShut;
  }
}

async function comeIn(home: Home, joining: Joining): Promise<{ readonly said: JsonObject; readonly socket: Socket }> {
  const request = joiningMessage(joining);
  const deadline = performance.now() + STARTED_WITHIN_MS;
  let gate: StartedGate | undefined;
  for (let tries = 0; tries < TRIES_MAX; ) {
    try {
      const met = await meet(home.state, request);
      if (met.said.again !== true) return met;
      met.socket.destroy();
      tries += 1;
      gate = undefined;
    } catch (error) {
      if (!(error instanceof NobodyThere)) {
        // It ended before it answered.
        tries += 1;
        if (tries >= TRIES_MAX) throw error;
      }
      if (performance.now() > deadline) throw new Error(`it did not start within ${STARTED_WITHIN_MS / 1_000} s`);
      if (gate?.over() === true) {
        if (gate.failed()) throw new Error(gate.said());
        gate = undefined;
      }
      gate ??= startGate(home, joining.name);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
  throw new Error('it ended each time before it answered');
}

interface StartedGate {
  over(): boolean;
  failed(): boolean;
  /** What it wrote since it was started. */
  said(): string;
}

/** A process of its own that outlives us, with its own session: what ends the client that started us does not end the others' gate. */
function startGate(home: Home, name: string | undefined): StartedGate {
  mkdirSync(home.state, { recursive: true, mode: 0o700 });
  const file = sharedGateNotes(home);
  const isLarge = existsSync(file) && statSync(file).size > NOTES_BYTES_MAX;
  const notes = openSync(file, isLarge ? 'w' : 'a', 0o600);
  const first = name === undefined ? [] : ['--for', name];
  const from = isLarge ? 0 : fstatSync(notes).size;
  const child = spawn(process.execPath, [...process.execArgv, PORTCULLIS, 'gate', ...first], {
    cwd: home.state,
    detached: true,
    stdio: ['ignore', 'ignore', notes],
  });
  closeSync(notes);
  let failed = false;
  child.on('error', () => {
    failed = true;
  });
  child.unref();
  return {
    over: () => failed || child.exitCode !== null || child.signalCode !== null,
    failed: () => failed || child.exitCode !== 0,
    said: () => readFileSync(file).subarray(from).toString('utf8').replaceAll('portcullis: ', '').trim(),
  };
}

/** Both ways until one side has ended, and what was said before that has arrived. `leave`: what runs is to be cancelled, and that recorded. */
function pass(socket: Socket, leave: () => Promise<unknown>): Promise<ExitCode> {
  const { stdin, stdout } = process;
  return new Promise((resolve) => {
    let asked = false;
    let hasEnded = false;
    const end = (): void => {
      if (asked) return;
      asked = true;
      void leave()
        .finally(() => socket.destroy())
        .catch(() => undefined);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
    stdin.on('end', () => {
      hasEnded = true;
    });
    stdin.on('error', end);
    stdout.on('error', end);
    stdin.pipe(socket);
    socket.pipe(stdout, { end: false });
    socket.on('close', () => {
      stdin.destroy();
      const isClean = asked || hasEnded;
      if (!isClean) say('the gate has ended');
      stdout.write('', () => resolve(isClean ? EXIT.ok : EXIT.gateShut));
    });
    // The gate says no more: neither do we.
    socket.on('end', () => socket.end());
  });
}

function say(text: string): void {
  process.stderr.write(`portcullis: ${visibleText(text, 2_000)}\n`);
}

function texts(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function exitOf(value: Json | undefined): ExitCode {
  return Object.values(EXIT).find((code) => code === value) ?? EXIT.error;
}
