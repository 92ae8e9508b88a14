// What wrap and serve share: find configuration, keys and a ledger that nobody else writes, start the gate, and end it cleanly on signals.

import { StateDocumentRefused } from '../adapters/storage/state-document.ts';
import { visibleText } from '../domain/visible-text.ts';
import { LedgerInUse, LedgerRefused } from '../ledger/open.ts';
import { type Configuration, configurationFile, readConfiguration } from './configuration.ts';
import { openControl } from './control.ts';
import { EXIT } from './exit-codes.ts';
import { startGate } from './gate.ts';
import { healthOf } from './gate-health.ts';
import { baseName, type GateFolder, gateFolder, type Home } from './home.ts';
import { registerKeys } from './key-registry.ts';
import { type GateKeys, openKeys } from './ledger.ts';
import { giveOrder, orderTaker, standingOrders } from './orders.ts';
import { CommandError, type Output, reasonOf } from './output.ts';
import type { ToldAside } from './quarantines.ts';
import type { GateOptions, RunningGate } from './running-gate.ts';
import { packageVersion } from './version.ts';

/** A gate's name is a folder and part of the name of its log's key. A dot is not in it: NAME.2 is the second of its name. */
export const GATE_NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Gates of one name that may run side by side, each with a ledger of its own: one for each client that starts the same server. */
const SIDE_BY_SIDE_MAX = 64;

export interface OpenedGate {
  readonly gate: RunningGate;
  readonly folder: GateFolder;
}

export interface GatePlan
  extends Pick<
    GateOptions,
    'launches' | 'wanted' | 'missingPolicyHint' | 'oneClient' | 'onJudged' | 'interpose' | 'deciding' | 'consent'
  > {
  readonly home: Home;
  readonly name: string;
  readonly configuration: Configuration | undefined;
}

/** The configuration that a command was given, or the usual one, or none on a first run. */
export function loadConfiguration(home: Home, named: string | undefined): Configuration | undefined {
  const file = configurationFile(home, named);
  return file === undefined ? undefined : readConfiguration(file);
}

/** Starts a gate on the first ledger of its name that is not in use. */
export async function openGate(plan: GatePlan, out: Output): Promise<OpenedGate> {
  if (!GATE_NAME.test(plan.name)) {
    throw new CommandError(`"${visibleText(plan.name, 80)}" cannot name a gate`, EXIT.usage, [
      'use 1 to 64 letters, digits, "_" and "-"',
    ]);
  }
  const keys = openKeys(gateFolder(plan.home, plan.name).keys);
  await registerKeys(plan.home, keys);
  for (let number = 1; ; number++) {
    const folder = gateFolder(plan.home, number === 1 ? plan.name : `${plan.name}.${number}`);
    try {
      const gate = await startGate({
        folder,
        keys,
        version: packageVersion(),
        configuration: plan.configuration,
        launches: plan.launches,
        wanted: plan.wanted,
        missingPolicyHint: plan.missingPolicyHint,
        note: (text) => out.note(text),
        deciding: plan.deciding,
        onJudged: plan.onJudged,
        ...(plan.oneClient === undefined ? {} : { oneClient: plan.oneClient }),
        ...(plan.consent === undefined ? {} : { consent: plan.consent }),
        ...(plan.interpose === undefined ? {} : { interpose: plan.interpose }),
      });
      return { gate: await operable(gate, plan.home, folder, keys, out), folder };
    } catch (error) {
      const inUse = error instanceof LedgerInUse;
      if (error instanceof LedgerRefused && !inUse) {
        throw new CommandError(`the ledger is refused, so the gate stays shut: ${error.message}`, EXIT.gateShut, [
          `look at it: portcullis verify ${folder.ledger}`,
          `to begin a new one, move ${folder.folder} away; do not delete it`,
        ]);
      }
      if (error instanceof StateDocumentRefused) {
        throw new CommandError(`what was kept is refused, so the gate stays shut: ${error.message}`, EXIT.gateShut, [
          'bring back the file as it was, and the keys it was written with',
          `to begin anew, move the file and ${folder.folder} away; do not delete them`,
        ]);
      }
      if (!inUse || number >= SIDE_BY_SIDE_MAX) throw error;
      out.note(`the ledger of ${visibleText(folder.name)} is in use by another gate; trying the next`);
    }
  }
}

/** Nobody is served before everything that was ordered is in force. */
async function operable(
  gate: RunningGate,
  home: Home,
  folder: GateFolder,
  keys: GateKeys,
  out: Output,
): Promise<RunningGate> {
  const onUnknown = (error: unknown): void => {
    out.note(`what was ordered of this gate is not known, so it is shut: ${visibleText(reasonOf(error), 300)}`);
    gate.governance.shut('revocations', 'GOV_REVOCATION_STALE', 'what was ordered is not known');
    void gate.enforcement.stopAll({ type: 'authority.withdrawn', code: 'GOV_REVOCATION_STALE' });
  };
  const orders = await orderTaker({ home, folder, secret: keys.vault, gate, onUnknown }).catch(
    async (error: unknown) => {
      await gate.close();
      throw error;
    },
  );
  const take = async (): ReturnType<typeof orders.take> => {
    await gate.takeApprovals();
    return orders.take();
  };
  const control = await openControl(
    folder.folder,
    take,
    () => healthOf(gate),
    (text) => out.note(text),
  );
  const close = async (): Promise<void> => {
    orders.close();
    await control?.close();
    await gate.close();
  };
  try {
    // Whoever ordered something before it could be asked finds it taken here, and later it is asked.
    await orders.take();
    await tellBeside(gate, home, folder, keys, out);
  } catch (error) {
    await close();
    throw error;
  }
  return { ...gate, close };
}

/** Whom this gate sets aside, the gates beside it, of the same name, set aside too; and a list of all has him. */
async function tellBeside(
  { quarantines }: RunningGate,
  home: Home,
  { name }: GateFolder,
  keys: GateKeys,
  out: Output,
): Promise<void> {
  const gate = baseName(name);
  const tell = async ({ kind, id, reason }: ToldAside): Promise<void> => {
    const order = { what: 'set-aside', kind, id, reason: `${name}: ${reason}`.slice(0, 200) } as const;
    await giveOrder(home, keys.vault, order, { gate }).catch((error: unknown) =>
      out.note(`the other gates were not told of ${kind} ${visibleText(id, 80)}: ${visibleText(reasonOf(error), 300)}`),
    );
  };
  quarantines.onCounted((told) => void tell(told));
  if (quarantines.counted.length === 0) return;
  const standing = await standingOrders(home, keys.vault);
  for (const told of quarantines.counted) {
    const isTold = standing.some(
      (one) => one.what === 'set-aside' && one.kind === told.kind && one.id === told.id && one.gate === gate,
    );
    if (!isTold) await tell(told);
  }
}

/** Calls `end` once on the first signal that asks us to stop. */
export function onStop(end: (signal: NodeJS.Signals) => void): void {
  let asked = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (asked) return;
      asked = true;
      end(signal);
    });
  }
}
