// portcullis revoke: takes authority away, now and for good. A gate that runs stops what is meant and says how much that was; one that does not run
// knows it when it starts.

import { randomBytes } from '../../adapters/crypto/node-crypto.ts';
import { type RevocationKind, Revocations } from '../../control-plane/permits/revocations.ts';
import { ulid } from '../../domain/ids.ts';
import { visibleText } from '../../domain/visible-text.ts';
import { Governance } from '../../proxy/governance.ts';
import { EXIT } from '../exit-codes.ts';
import { operate } from '../operated-gates.ts';
import { CommandError, type Output } from '../output.ts';
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

export async function revoke(what: string, id: string, { name }: RevokeOptions, out: Output): Promise<number> {
  const kind = Object.hasOwn(KINDS, what) ? KINDS[what] : undefined;
  if (kind === undefined)
    throw new CommandError(`"${visibleText(what, 40)}" cannot be revoked`, EXIT.usage, [
      `one of: ${Object.keys(KINDS).join(', ')}`,
    ]);
  if (id === '' || id.length > 1_024) throw new CommandError('an id has 1 to 1,024 characters', EXIT.usage, []);
  return operate(
    name,
    {
      request: { op: 'revoke', kind, id },
      atRest: async ({ folder, keys, ledger }) => {
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
        return { number, stopped: 0 };
      },
      told: ({ number, stopped }, running) =>
        `revocation ${String(number)}  ${running ? `${String(stopped)} running call(s) stopped` : 'not running'}`,
    },
    out,
  );
}
