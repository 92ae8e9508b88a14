// portcullis revoke: takes authority away, now and for good. A gate that runs stops what is meant and says how much that was; one that does not run
// knows it when it starts.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { askControl, NobodyThere } from '../../adapters/control/control-socket.ts';
import { randomBytes } from '../../adapters/crypto/node-crypto.ts';
import { type RevocationKind, Revocations } from '../../control-plane/permits/revocations.ts';
import { ulid } from '../../domain/ids.ts';
import { visibleText } from '../../domain/visible-text.ts';
import { Governance } from '../../proxy/governance.ts';
import { EXIT } from '../exit-codes.ts';
import { findHome, type GateFolder, gateFolder, type Home } from '../home.ts';
import { registerKeys } from '../key-registry.ts';
import { type GateKeys, openGeneration, openKeys } from '../ledger.ts';
import { CommandError, type Output, reasonOf } from '../output.ts';
import { openRevocations } from '../revocations.ts';
import { systemClock } from '../system-clock.ts';

export interface RevokeOptions {
  readonly name?: string;
}

/** What people call it, and what it is in permits and entries. */
const KINDS: Readonly<Record<string, RevocationKind>> = {
  permit: 'jti',
  execution: 'node',
  root: 'root',
  agent: 'agent',
  server: 'server',
  tool: 'tool',
  policy: 'policy',
  key: 'key',
};

export const REVOCABLE: readonly string[] = Object.keys(KINDS);

interface Revoked {
  readonly gate: string;
  readonly running: boolean;
  readonly number: number;
  /** Calls that were running and have been stopped. */
  readonly stopped: number;
}

export async function revoke(what: string, id: string, options: RevokeOptions, out: Output): Promise<number> {
  const kind = Object.hasOwn(KINDS, what) ? KINDS[what] : undefined;
  if (kind === undefined)
    throw new CommandError(`"${visibleText(what, 40)}" cannot be revoked`, EXIT.usage, [
      `one of: ${REVOCABLE.join(', ')}`,
    ]);
  if (id === '' || id.length > 1_024) throw new CommandError('an id has 1 to 1,024 characters', EXIT.usage, []);
  const home = findHome();
  const names = gatesOf(home, options.name);
  const keys = openKeys(gateFolder(home, 'any').keys);
  await registerKeys(home, keys);
  const gates: Revoked[] = [];
  const failed: { readonly gate: string; readonly error: string }[] = [];
  for (const name of names) {
    try {
      const revoked = await revokeAt(gateFolder(home, name), keys, kind, id, out);
      gates.push(revoked);
      const state = revoked.running ? `${revoked.stopped} running call(s) stopped` : 'not running';
      out.line(`${name.padEnd(14)}revocation ${revoked.number}  ${state}`);
    } catch (error) {
      failed.push({ gate: name, error: reasonOf(error) });
      out.note(`${name}: ${visibleText(reasonOf(error), 300)}`);
    }
  }
  out.answer({ kind: what, id, gates: gates.map((gate) => ({ ...gate })), failed: failed.map((one) => ({ ...one })) });
  return failed.length === 0 ? EXIT.ok : EXIT.error;
}

/** All gates of this installation, or the one that was named. */
function gatesOf(home: Home, name: string | undefined): readonly string[] {
  const folder = join(home.state, 'gates');
  const names = existsSync(folder) ? readdirSync(folder).filter((one) => existsSync(gateFolder(home, one).heads)) : [];
  if (name !== undefined) {
    if (!names.includes(name))
      throw new CommandError(`there is no gate "${visibleText(name, 80)}"`, EXIT.usage, [
        names.length === 0 ? 'no gate has run yet' : `gates: ${names.join(', ')}`,
      ]);
    return [name];
  }
  if (names.length === 0)
    throw new CommandError('no gate has run yet, so nothing was ever allowed', EXIT.usage, [
      'what may be called is said by the rules: portcullis policy check',
    ]);
  return names.sort();
}

async function revokeAt(
  folder: GateFolder,
  keys: GateKeys,
  kind: RevocationKind,
  id: string,
  out: Output,
): Promise<Revoked> {
  try {
    const { number, stopped, error } = await askControl(folder.folder, { op: 'revoke', kind, id });
    if (typeof number !== 'number' || typeof stopped !== 'number')
      throw new Error(typeof error === 'string' ? error : 'the gate gave no answer that could be read');
    return { gate: folder.name, running: true, number, stopped };
  } catch (error) {
    if (!(error instanceof NobodyThere)) throw error;
  }
  // Nobody else has the ledger then; where somebody has, that is said and nothing is written.
  const ledger = await openGeneration(folder, keys);
  try {
    const revocations = await openRevocations({
      folder,
      secret: keys.vault,
      revocations: new Revocations(),
      governance: new Governance(ulid(systemClock.now(), randomBytes(10)), []),
      recorder: ledger,
      clock: systemClock,
      note: (text) => out.note(text),
    });
    const { number } = await revocations.add(kind, id);
    return { gate: folder.name, running: false, number, stopped: 0 };
  } finally {
    await ledger.close();
  }
}
