// What a client says that it is: written down, bounded, and asked by nobody.

import { describe, expect, it } from 'vitest';
import { captureCall } from '../../../proxy/captured-call.ts';
import { claimedClient } from '../../../proxy/claimed-client.ts';
import { CLAIMED_CHARACTERS_MAX } from '../../../proxy/limits.ts';
import { requestedBy } from '../../../proxy/recordable.ts';
import { PLAIN_MANNER } from '../../../proxy/tool-server.ts';
import { PRINCIPAL, World } from '../../support/gate-world.ts';

describe('a client that says what it is', () => {
  it.each([[undefined], [null], ['x'], [[]], [{}], [{ name: 7 }], [{ version: '1' }]])(
    'says nothing with %j',
    (info) => {
      expect(claimedClient(info as never)).toBeUndefined();
    },
  );

  it('is written down in bounds, and well formed', () => {
    const long = 'n'.repeat(CLAIMED_CHARACTERS_MAX + 1);
    expect(claimedClient({ name: long, version: '\ud800', title: 'x', more: {} })).toEqual({
      name: `${long.slice(1)}…`,
      version: '\ufffd',
    });
    expect(claimedClient({ name: 'x', version: 1 })).toEqual({ name: 'x' });
  });

  it('is the same principal, in the same place, whatever it says', async () => {
    const world = await World.open();
    const claiming = (claimed?: { name: string }) =>
      captureCall(
        { ...world.crypto, randomBytes: () => new Uint8Array(32) },
        {
          call: '01M7ZG9S0W5VQ1YB8T6K2N4RDE' as never,
          at: 1,
          atMonotonic: 1,
          principal: PRINCIPAL,
          method: 'tools/call',
          server: 'fs',
          tool: 'write_file',
          arguments: { path: '/w/a' },
          rest: {},
          meta: {},
          manner: claimed === undefined ? PLAIN_MANNER : { ...PLAIN_MANNER, claimed },
        },
      );
    const [silent, loud] = [claiming(), claiming({ name: 'root' })];
    const { manner: _, ...same } = loud;
    expect(silent).toMatchObject(same);
    expect(requestedBy(loud)).toEqual({ ...requestedBy(silent), claimed: { name: 'root' } });
    expect(requestedBy({ ...loud, askedThrough: loud.call })).not.toHaveProperty('claimed');
  });
});
