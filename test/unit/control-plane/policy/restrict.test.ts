import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../../adapters/crypto/node-crypto.ts';
import { cedarLanguage } from '../../../../adapters/policy-engine/cedar.ts';
import { assembleBundle } from '../../../../control-plane/policy/assemble-bundle.ts';
import { digestWith } from '../../../../control-plane/policy/bundle.ts';

const MANIFEST = `
apiVersion: portcullis/v1
namespace: Acme
agents: { me: { roles: [dev], auth: local } }
servers:
  here: { stdio: { command: node } }
  there: { stdio: { command: node } }
groups:
  all: [here/a, there/b]
  other: [there/b]
`;

const RULES = `
@id("by-resource") @reason("r") permit (principal, action, resource == Acme::Server::"there");
@id("by-action") @reason("r") permit (principal, action == Acme::Action::"there/b", resource) when { context.input.n > 1 };
@id("by-group") @reason("r") permit (principal, action in Acme::Action::"other", resource);
@id("by-both") @reason("r") forbid (principal, action in [Acme::Action::"here/a", Acme::Action::"there/b"], resource);
@id("by-mixed-group") @reason("r") forbid (principal, action in Acme::Action::"all", resource);
@id("by-any") @reason("r") forbid (principal, action, resource) when { context.governance.state == "degraded" };
@id("by-here") @reason("r") permit (principal, action == Acme::Action::"here/a", resource == Acme::Server::"here");
`;

function bundle(rules: string, servers: readonly string[]) {
  const tool = (name: string) => ({
    name,
    inputSchema: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
  });
  const tools = servers.map((server) => ({ server, tools: [tool(server === 'here' ? 'a' : 'b')] }));
  const source = { manifest: { file: 'm.yaml', text: MANIFEST }, policies: [{ file: 'r.cedar', text: rules }], tools };
  return assembleBundle(source, cedarLanguage, digestWith(sha256));
}

describe('rules in a gate that serves only some servers of the manifest', () => {
  it('keeps every rule that can match a call here and leaves out those that cannot', () => {
    const result = bundle(RULES, ['here']);
    if (!result.ok) throw new Error(JSON.stringify(result.problems));
    expect([...result.bundle.rules.keys()]).toEqual(['by-any', 'by-both', 'by-here', 'by-mixed-group']);
  });

  it('keeps all of them where all servers are served', () => {
    const result = bundle(RULES, ['here', 'there']);
    if (!result.ok) throw new Error(JSON.stringify(result.problems));
    expect(result.bundle.rules.size).toBe(7);
  });

  it('still refuses a rule about a server that the manifest does not name', () => {
    expect(
      bundle('@id("x") @reason("r") permit (principal, action == Acme::Action::"nowhere/b", resource);', ['here']).ok,
    ).toBe(false);
  });

  it('still refuses a rule about a tool that a served server does not have', () => {
    expect(
      bundle('@id("x") @reason("r") permit (principal, action == Acme::Action::"here/b", resource);', ['here']).ok,
    ).toBe(false);
  });
});
