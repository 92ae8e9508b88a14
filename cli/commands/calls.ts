// portcullis calls: calls of which nobody knows whether they ran, and a person's word about them.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { visibleText } from '../../domain/visible-text.ts';
import type { UnknownCall } from '../../proxy/unknown-calls.ts';
import { EXIT } from '../exit-codes.ts';
import { baseName, findHome, gateFolder, type Home } from '../home.ts';
import { openKeys } from '../ledger.ts';
import { operate } from '../operated-gates.ts';
import { CommandError, type Output } from '../output.ts';
import { SETTLEMENTS, type Settlement, unknownCallsOf } from '../unknown-calls.ts';

export interface UnknownOptions {
  readonly name?: string;
}

export interface SettleOptions {
  readonly name?: string;
  readonly ran?: boolean;
  readonly didNotRun?: boolean;
  readonly notKnown?: boolean;
}

/** Those of every gate here, or of the gates of one name, oldest first. */
export async function waitingCalls(
  home: Home,
  secret: Uint8Array,
  name?: string,
): Promise<readonly (UnknownCall & { readonly gate: string })[]> {
  const folder = join(home.state, 'gates');
  const gates = existsSync(folder) ? readdirSync(folder) : [];
  const meant = gates.filter((gate) => name === undefined || gate === name || baseName(gate) === name);
  const found = await Promise.all(
    meant.map(async (gate) =>
      (await unknownCallsOf(gateFolder(home, gate), secret)).map((call) => ({ gate, ...call })),
    ),
  );
  return found.flat().sort((a, b) => a.at - b.at);
}

export async function unknownCalls({ name }: UnknownOptions, out: Output): Promise<number> {
  const home = findHome();
  const { keys } = gateFolder(home, 'any');
  // Asking must not make keys.
  const waiting = existsSync(keys) ? await waitingCalls(home, openKeys(keys).vault, name) : [];
  out.answer({ calls: waiting.map(({ same: _, ...call }) => call) });
  for (const { call, at, gate, agent, server, tool, code } of waiting)
    out.line(
      `${visibleText(call)}  ${new Date(at).toISOString()}  ${gate}  ${visibleText(agent, 64)}  ${visibleText(server, 64)}/${visibleText(tool, 80)}  ${visibleText(code)}`,
    );
  if (waiting.length === 0) out.line('no call waits for a person');
  else {
    out.note('the same call of the same agent is denied until you have looked whether it ran');
    out.note('what it was called with: portcullis log --call CALL --payloads LEDGER');
    out.note('let it be called again: portcullis calls settle CALL --ran, --did-not-run or --not-known');
  }
  return EXIT.ok;
}

export async function settleCalls(calls: readonly string[], options: SettleOptions, out: Output): Promise<number> {
  const said: readonly (readonly [Settlement, boolean | undefined])[] = [
    ['ran', options.ran],
    ['did-not-run', options.didNotRun],
    ['not-known', options.notKnown],
  ];
  const [as, another] = said.flatMap(([settlement, is]) => (is === true ? [settlement] : []));
  if (as === undefined || another !== undefined)
    throw new CommandError(`say one of ${SETTLEMENTS.map((one) => `--${one}`).join(', ')}`, EXIT.usage, [
      'it is recorded as your word; after each of them the call can be made again',
    ]);
  const home = findHome();
  const { keys } = gateFolder(home, 'any');
  const waiting = existsSync(keys) ? await waitingCalls(home, openKeys(keys).vault, options.name) : [];
  const strangers = calls.filter((call) => !waiting.some((one) => one.call === call));
  if (strangers.length > 0)
    throw new CommandError(
      `no such call waits: ${strangers.map((call) => visibleText(call, 40)).join(', ')}`,
      EXIT.usage,
      ['those that do: portcullis calls unknown'],
    );
  let worst: number = EXIT.ok;
  for (const call of calls) {
    const gate = waiting.find((one) => one.call === call)?.gate ?? '';
    const code = await operate(baseName(gate), { what: 'settle', call, as }, () => `settled  ${call}  ${as}`, out);
    worst = Math.max(worst, code);
  }
  return worst;
}
