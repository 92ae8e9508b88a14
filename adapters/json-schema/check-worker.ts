// A thread that does nothing but check values against schemas that servers wrote. It holds no secret and decides nothing; whatever becomes of it, the
// gate goes on and takes the check as failed.

import { parentPort } from 'node:worker_threads';
import { Defect } from '../../domain/defect.ts';
import type { Json } from '../../domain/json.ts';
import { ownThread } from '../policy-engine/processor-time.ts';
import type { FromCheckThread, ToCheckThread } from './check-messages.ts';
import { SchemaChecks } from './schema-checks.ts';

const port = parentPort;
if (port === null) throw new Defect('schemas are checked in a thread of their own');
const send = (message: FromCheckThread): void => port.postMessage(message);
const served: { checks: SchemaChecks } = { checks: new SchemaChecks(new Map()) };

port.on('message', (message: ToCheckThread) => {
  if (message.type === 'tools') {
    served.checks = new SchemaChecks(new Map(message.tools));
    return;
  }
  const { kind, action, json } = message;
  served.checks.compile(kind, action);
  send({ type: 'compiled' });
  const value = JSON.parse(json) as Json;
  const denial = kind === 'input' ? served.checks.input(action, value) : served.checks.output(action, value);
  send({ type: 'checked', denial });
});
send({ type: 'warm', task: ownThread() });
