import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../../adapters/crypto/node-crypto.ts';
import { cedarLanguage } from '../../../../adapters/policy-engine/cedar.ts';
import { fileSystemPaths } from '../../../../adapters/policy-engine/path-resolver.ts';
import { assembleBundle } from '../../../../control-plane/policy/assemble-bundle.ts';
import { digestWith } from '../../../../control-plane/policy/bundle.ts';
import { decide } from '../../../../control-plane/policy/decide.ts';
import { hypotheticalRequest } from '../../../../control-plane/policy/expectations.ts';
import { wholeEngine } from '../../../../control-plane/policy/explain.ts';
import type { Json } from '../../../../domain/json.ts';

const MANIFEST = `
apiVersion: portcullis/v1
agents: { me: { roles: [dev], auth: local } }
servers: { map: { stdio: { command: node } } }
`;
const number = { type: 'number' };
const TOOL = {
  name: 'find',
  inputSchema: {
    type: 'object',
    properties: { lat: number, zoom: number, box: { type: 'array', items: number } },
    required: ['lat'],
  },
};

function outcome(condition: string, args: { [key: string]: Json }): string {
  const text = `@id("r") @reason("r") permit (principal, action == Portcullis::Action::"map/find", resource) ${condition};`;
  const tools = [{ server: 'map', tools: [TOOL] }];
  const source = { manifest: { file: 'm.yaml', text: MANIFEST }, policies: [{ file: 'r.cedar', text }], tools };
  const assembled = assembleBundle(source, cedarLanguage, digestWith(sha256));
  if (!assembled.ok) throw new Error(JSON.stringify(assembled.problems));
  const { bundle } = assembled;
  const request = hypotheticalRequest(bundle.manifest, { agent: 'me', server: 'map', tool: 'find', arguments: args });
  const decision = decide(bundle, request, wholeEngine(bundle, cedarLanguage), fileSystemPaths);
  return decision.decision === 'allow' ? 'allow' : decision.code;
}

describe('an argument that the rule language cannot express', () => {
  it.each([
    ['a rule reads it', 'when { context.input.lat > 1 }'],
    ['a rule asks whether it is there', 'when { context.input has lat }'],
    ['a rule reads the whole input', 'when { context.input == context.input }'],
    ['a rule reads the whole context', 'when { context == context }'],
  ])('denies when %s', (_when, condition) => {
    expect(outcome(condition, { lat: 48.1 })).toBe('ARG_NOT_REPRESENTABLE');
  });

  it('passes when no rule about the tool reads it, also in a list', () => {
    expect(outcome('', { lat: 48.1, box: [1.5, 2] })).toBe('allow');
    expect(outcome('when { context.input has zoom && context.input.zoom == 3 }', { lat: 48.1, zoom: 3 })).toBe('allow');
    expect(outcome('when { context.input has zoom && context.input.zoom == 3 }', { lat: 48.1, zoom: 4 })).toBe(
      'POLICY_NO_PERMIT',
    );
  });

  it('still denies what is not a number at all, and what the tool does not declare', () => {
    expect(outcome('', { lat: 'north' })).toBe('ARG_INVALID');
    expect(outcome('', { lat: 1, other: 1.5 })).toBe('ARG_INVALID');
  });
});
