// A call in a gate-world that finds its place in a chain, as the call of a client does.

import { randomBytes } from '../../adapters/crypto/node-crypto.ts';
import { ulid } from '../../domain/ids.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Scope } from '../../domain/scope.ts';
import { captureCall } from '../../proxy/captured-call.ts';
import type { RunningCall } from '../../proxy/running-call.ts';
import { PLAIN_MANNER } from '../../proxy/tool-server.ts';
import { PRINCIPAL, type World } from './gate-world.ts';

export interface Calling {
  readonly by?: Principal;
  readonly path?: string;
  readonly token?: string | undefined;
  readonly narrowing?: Scope | undefined;
}

export function startCall(
  world: World,
  { by = PRINCIPAL, path = '/w/a', token, narrowing }: Calling = {},
): RunningCall {
  const args: JsonObject = { path };
  return world.start(
    captureCall(world.crypto, {
      call: ulid(world.clock.now(), randomBytes(10)),
      at: world.clock.now(),
      atMonotonic: world.clock.monotonic(),
      principal: by,
      method: 'tools/call',
      server: 'fs',
      tool: 'write_file',
      arguments: args,
      rest: {},
      meta: {},
      manner: PLAIN_MANNER,
      narrowing,
      place: (placing) => world.enforcement.place({ ...placing, arguments: args, token }),
    }),
  );
}
