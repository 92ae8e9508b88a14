import { expect, it } from 'vitest';
import { GateFacts } from '../../../cli/gate-facts.ts';
import type { JsonObject } from '../../../domain/json.ts';
import type { Payload } from '../../../proxy/ports.ts';

it('says of a server that is offered which of its tools may be called again', async () => {
  const kept: Payload[] = [];
  const append = async (_body: object, payloads: readonly Payload[]) => {
    kept.push(...payloads);
    return { seq: 1, ts: '', leafHash: 'sha256:' } as const;
  };
  const digest = 'sha256:' as const;
  const approval = { server: 'fs', launch: digest, definition: digest, environment: null, number: 1, at: 0, by: 'me' };
  const tool = (name: string, annotations: JsonObject) => ({ name, inputSchema: {}, annotations });
  const tools = [tool('read', { readOnlyHint: true }), tool('put', { idempotentHint: true }), tool('append', {})];
  const definition = { launch: {}, instructions: null, tools, prompts: [], resources: [], resourceTemplates: [] };
  await new GateFacts({ append }, () => {}).serverPinned('fs', { ...approval, drift: null }, definition, undefined);
  const said = JSON.parse(Buffer.from(kept[0]?.bytes ?? []).toString()) as JsonObject;
  expect(said.repeatable).toEqual(['read', 'put']);
});
