// A process that makes V8 discard optimised code while a call into the engine is under way. It prints "alive" if it lives.

import cedar from '@cedar-policy/cedar-wasm/nodejs';
import { preparse } from '../../adapters/policy-engine/cedar.ts';

preparse(
  'p',
  { T: { entityTypes: { A: {} }, actions: { act: { appliesTo: { principalTypes: ['A'], resourceTypes: ['A'] } } } } },
  new Map([['a', 'permit (principal, action, resource);']]),
);

class Box {
  v: unknown = 1;
}
const box = new Box();
let armed = false;
const entity = { type: 'T::A', id: 'a' };
const call: cedar.StatefulAuthorizationCall = {
  principal: entity,
  action: { type: 'T::Action', id: 'act' },
  resource: entity,
  // Read by the engine, in the middle of the call.
  get context() {
    if (armed) {
      armed = false;
      box.v = 'another kind';
      Object.setPrototypeOf(box, {});
    }
    return {};
  },
  preparsedSchemaName: 'p',
  preparsedPolicySetId: 'p',
  validateRequest: true,
  entities: [],
};

function ask(): number {
  const before = box.v;
  const answer = cedar.statefulIsAuthorized(call);
  return answer.type.length + (box.v === before ? 1 : 2);
}

for (let round = 0; round < 3; round++) {
  for (let i = 0; i < 4000; i++) ask();
  armed = true;
  ask();
}
process.stdout.write('alive\n');
