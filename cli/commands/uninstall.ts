// portcullis uninstall: clients as they were before init, and no state left but the ledgers, with what it takes to verify them.

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { confirmed, mayAsk } from '../asking.ts';
import { EXIT } from '../exit-codes.ts';
import { gateStates } from '../gate-states.ts';
import { findHome, gateFolder, type Home } from '../home.ts';
import { placeText } from '../onboarding/plan-text.ts';
import { CommandError, type Output } from '../output.ts';
import { sharedGate } from './gate.ts';
import { restored } from './restore.ts';

export interface UninstallOptions {
  readonly purge?: boolean;
  readonly yes?: boolean;
}

const ENDED_WITHIN_MS = 5_000;
const LOOK_EVERY_MS = 100;

/** Of a gate: what was recorded, the key that it is verified with, and its last head. */
const KEPT_OF_GATE = ['ledger', 'log.vkey', 'heads.json'];
/** The last one opens what was recorded in secret. */
const KEPT_KEYS = ['log.pub', 'permit.pub', 'gate.pub', 'vault.key'];

export async function uninstall(options: UninstallOptions, out: Output, home = findHome()): Promise<number> {
  const what = options.purge === true ? 'and all ledgers' : 'but not the ledgers';
  if (options.yes !== true) {
    if (!mayAsk(out))
      throw new CommandError('nobody can be asked here, so nothing was removed', EXIT.usage, [
        `portcullis uninstall --yes restores the clients and removes ${home.state}, ${what}`,
      ]);
    if (!(await confirmed(`restore the clients and remove ${placeText(home.state)}, ${what}? [y/N] `))) return EXIT.ok;
  }
  const { whole, answer } = await restored(home, { all: true, yes: true }, out);
  if (!whole)
    throw new CommandError('some files could not be put back, so the state stays: the backups are in it', EXIT.error, [
      'mend what is said above, then run this again',
    ]);
  // Nothing passes without it: who still wants something gets a refusal.
  await sharedGate({ stop: true }, out, undefined, home);
  const running = await stillRunning(home);
  if (running.length > 0)
    throw new CommandError(
      `the clients are as they were; the state stays, because gates run: ${running.join(', ')}`,
      EXIT.error,
      ['end what started them, then run this again'],
    );
  const kept = options.purge === true ? undefined : keepLedgers(home);
  for (const name of readdirOf(home.state))
    if (name !== 'kept' || options.purge === true) rmSync(join(home.state, name), { recursive: true, force: true });
  if (readdirOf(home.state).length === 0) rmSync(home.state, { recursive: true, force: true });
  out.line(`removed the state in ${placeText(home.state)}`);
  if (kept !== undefined) {
    out.line(`kept the ledgers in ${placeText(kept)}`);
    out.line(`  portcullis verify ${placeText(join(kept, 'gates'))}/NAME/ledger`);
  }
  out.line(`the manifest and the rules in ${placeText(home.config)} are yours and stay`);
  out.answer({ restored: answer, state: home.state, kept: kept ?? null, config: home.config });
  return EXIT.ok;
}

/** A gate that was told to end closes its ledger first. */
async function stillRunning(home: Home): Promise<readonly string[]> {
  for (let waitedMs = 0; ; waitedMs += LOOK_EVERY_MS) {
    const running = (await gateStates(home)).filter((gate) => gate.running).map(({ gate }) => gate);
    if (running.length === 0 || waitedMs >= ENDED_WITHIN_MS) return running;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** Moved aside, so that a new installation begins anew: the rest of the old one's state would be missed by its gates. */
function keepLedgers(home: Home): string | undefined {
  const gates = readdirOf(join(home.state, 'gates')).filter((name) => existsSync(gateFolder(home, name).ledger));
  if (gates.length === 0) return undefined;
  const kept = join(home.state, 'kept', new Date().toISOString().replace(/[-:.]/g, ''));
  for (const gate of gates)
    for (const name of KEPT_OF_GATE) move(join(home.state, 'gates', gate, name), join(kept, 'gates', gate, name));
  for (const name of KEPT_KEYS) move(join(home.state, 'keys', name), join(kept, 'keys', name));
  return kept;
}

function move(from: string, to: string): void {
  if (!existsSync(from)) return;
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  renameSync(from, to);
}

function readdirOf(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
