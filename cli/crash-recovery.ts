// What a start does about runs that were killed, besides ending their calls in the ledger: their chains do not go on, and the calls of gates beside this
// one that nobody has started again are ended too, because the agents whose calls they were may come to this one.

import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { openHeads } from '../adapters/storage/heads.ts';
import { endLeft } from '../adapters/upstream/stdio/left-processes.ts';
import { visibleText } from '../domain/visible-text.ts';
import { LedgerInUse } from '../ledger/open.ts';
import type { Governance } from '../proxy/governance.ts';
import { baseName, type GateFolder, processesFile } from './home.ts';
import { type GateKeys, headsMac, openGeneration } from './ledger.ts';
import { reasonOf } from './output.ts';
import { type DurableUnknownCalls, durableUnknownCalls } from './unknown-calls.ts';
import type { Withdrawals } from './withdrawals.ts';

export interface AfterCrashPorts {
  readonly folder: GateFolder;
  readonly keys: GateKeys;
  readonly unknown: DurableUnknownCalls;
  readonly governance: Governance;
  readonly revoke: Withdrawals['revoke'];
  readonly note: (text: string) => void;
}

/** Resolves when nobody can go on with what was cut off. Later recoveries of this gate's own ledger are followed by themselves. */
export async function afterCrash({ folder, keys, unknown, governance, revoke, note }: AfterCrashPorts): Promise<void> {
  endProcessesOf(folder, note);
  await endBeside(folder, keys, note);
  let last: Promise<void> = Promise.resolve();
  const revokeRoots = (): Promise<void> => {
    // One after the other: each takes what is there when its turn comes.
    const done = last.then(() => unknown.revokeRoots((root) => revoke('root', root)));
    last = done.catch(() => undefined);
    return done;
  };
  await revokeRoots();
  governance.onChange(() => {
    // A revocation that fails shuts the gate by itself.
    if (!governance.isShutBy('ledger')) void revokeRoots().catch(() => undefined);
  });
}

/** Whoever holds the lock of a ledger is alone with what its earlier writers started. */
function endProcessesOf(folder: GateFolder, note: (text: string) => void): void {
  const ended = endLeft(processesFile(folder));
  if (ended > 0) note(`${ended} process(es) of ${visibleText(folder.name)} had outlived it and were ended`);
}

/** Opens and closes each ledger beside this one that was being written when its gate died, and that nobody writes now. */
async function endBeside(own: GateFolder, keys: GateKeys, note: (text: string) => void): Promise<void> {
  const gates = dirname(own.folder);
  const others = readdirSync(gates).filter((name) => name !== own.name && baseName(name) === baseName(own.name));
  for (const name of others) {
    const of = (path: string): string => path.replace(own.folder, `${gates}/${name}`);
    const folder = { ...own, name, folder: of(own.folder), ledger: of(own.ledger), heads: of(own.heads) };
    try {
      if (!existsSync(folder.heads)) continue;
      const { head } = (await openHeads(folder.heads, headsMac(keys.vault))).value;
      if (head === null || head.closed) continue;
      const unknown = durableUnknownCalls({
        folder,
        secret: keys.vault,
        now: () => 0,
        mayRepeat: () => false,
      });
      const generation = await openGeneration(folder, keys, { onRecovered: (intents) => unknown.recovered(intents) });
      endProcessesOf(folder, note);
      await generation.close();
    } catch (error) {
      if (!(error instanceof LedgerInUse))
        note(`the ledger of ${visibleText(name)} beside this one could not be recovered: ${reasonOf(error)}`);
    }
  }
}
