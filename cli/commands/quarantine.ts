// portcullis quarantine: who was set aside because too much went wrong with it, and letting it go on. It is counted by the gates; lifting is a person's.

import { visibleText } from '../../domain/visible-text.ts';
import { EXIT } from '../exit-codes.ts';
import { findHome, gateFolder } from '../home.ts';
import { openKeys } from '../ledger.ts';
import { operate } from '../operated-gates.ts';
import { standingOrders } from '../orders.ts';
import { CommandError, type Output } from '../output.ts';
import { isAsideKind } from '../quarantines.ts';

export interface QuarantineOptions {
  readonly name?: string;
}

export async function quarantineList({ name }: QuarantineOptions, out: Output): Promise<number> {
  const home = findHome();
  const orders = await standingOrders(home, openKeys(gateFolder(home, 'any').keys).vault);
  const quarantined = orders.flatMap((order) =>
    order.what === 'set-aside' && (name === undefined || order.gate === name)
      ? [{ kind: order.kind, id: order.id, gate: order.gate ?? null, at: order.at, reason: order.reason }]
      : [],
  );
  out.answer({ quarantined });
  if (quarantined.length === 0) out.line('nobody is set aside');
  for (const { kind, id, at, reason } of quarantined)
    out.line(
      `${kind.padEnd(7)} ${visibleText(id, 80).padEnd(14)}  ${new Date(at).toISOString()}  ${visibleText(reason, 200)}`,
    );
  return EXIT.ok;
}

export async function quarantineLift(
  kind: string,
  id: string,
  { name }: QuarantineOptions,
  out: Output,
): Promise<number> {
  if (!isAsideKind(kind))
    throw new CommandError(`"${visibleText(kind, 40)}" cannot be set aside`, EXIT.usage, ['one of: agent, server']);
  if (id === '' || id.length > 1_024) throw new CommandError('a name has 1 to 1,024 characters', EXIT.usage);
  return operate(name, { what: 'lift', kind, id }, () => 'lifted', out);
}
