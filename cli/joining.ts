// What somebody says who joins the shared gate: which entry of a client's configuration he stands for, and in which environment it was started.
// Read strictly: whoever says something else is told so.

import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import type { CommandLine } from './servers.ts';

export interface Joining {
  readonly name: string | undefined;
  readonly agent: string | undefined;
  readonly line: CommandLine | undefined;
  readonly environment: Readonly<Record<string, string>>;
}

const VERSION = 1;

export function joiningMessage({ name, agent, line, environment }: Joining): JsonObject {
  return {
    join: VERSION,
    name: name ?? null,
    agent: agent ?? null,
    line: line === undefined ? null : { command: line.command, args: [...line.args] },
    // Not a map: there are systems and people with a variable that is called "constructor".
    environment: Object.entries(environment),
  };
}

/** The variables of a process that have a value. */
export function environmentOf(variables: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

/** Throws an Error with a plain explanation. */
export function joiningOf(request: JsonObject): Joining {
  const { join, name, agent, line, environment } = request;
  if (join !== VERSION) throw new Error('another version of portcullis runs the gate; it ends when its clients do');
  if (!isTextOrNull(name) || !isTextOrNull(agent) || !arePairs(environment)) throw new Error('nobody joins like that');
  return {
    name: name ?? undefined,
    agent: agent ?? undefined,
    line: lineOf(line),
    environment: Object.fromEntries(environment),
  };
}

function lineOf(line: Json | undefined): CommandLine | undefined {
  if (line === null) return undefined;
  if (line !== undefined && isJsonObject(line) && typeof line.command === 'string' && Array.isArray(line.args)) {
    const { command, args } = line;
    if (args.every((arg) => typeof arg === 'string')) return { command, args: args as string[] };
  }
  throw new Error('nobody joins like that');
}

function isTextOrNull(value: Json | undefined): value is string | null {
  return value === null || typeof value === 'string';
}

function arePairs(value: Json | undefined): value is readonly (readonly [string, string])[] {
  return (
    Array.isArray(value) &&
    value.every((one) => Array.isArray(one) && one.length === 2 && one.every((text) => typeof text === 'string'))
  );
}
