// portcullis revoke: takes authority away, now and for good. A gate that runs stops what is meant and says how much that was; one that does not run
// knows it when it starts.

import { visibleText } from '../../domain/visible-text.ts';
import { EXIT } from '../exit-codes.ts';
import { operate } from '../operated-gates.ts';
import { CommandError, type Output } from '../output.ts';
import { isRevocable, REVOCABLE } from '../revocable.ts';

export interface RevokeOptions {
  readonly name?: string;
}

export async function revoke(what: string, id: string, { name }: RevokeOptions, out: Output): Promise<number> {
  if (!isRevocable(what))
    throw new CommandError(`"${visibleText(what, 40)}" cannot be revoked`, EXIT.usage, [
      `one of: ${Object.keys(REVOCABLE).join(', ')}`,
    ]);
  if (id === '' || id.length > 1_024) throw new CommandError('an id has 1 to 1,024 characters', EXIT.usage, []);
  return operate(
    name,
    { what: 'revoke', kind: REVOCABLE[what], id },
    (stopped) => `revoked  ${stopped} running call(s) stopped`,
    out,
  );
}
